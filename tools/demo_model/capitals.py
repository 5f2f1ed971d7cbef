"""Countries and their capitals in English and Chinese, as the demo model learns them.

One row is ``country|capital|国家|首都``. Where a country has several capitals, the row holds the one that most
reference works name first. An English name carries its article when a sentence needs one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Capital:
    country: str
    city: str
    country_zh: str
    city_zh: str


TABLE = """\
Afghanistan|Kabul|阿富汗|喀布尔
Albania|Tirana|阿尔巴尼亚|地拉那
Algeria|Algiers|阿尔及利亚|阿尔及尔
Andorra|Andorra la Vella|安道尔|安道尔城
Angola|Luanda|安哥拉|罗安达
Argentina|Buenos Aires|阿根廷|布宜诺斯艾利斯
Armenia|Yerevan|亚美尼亚|埃里温
Australia|Canberra|澳大利亚|堪培拉
Austria|Vienna|奥地利|维也纳
Azerbaijan|Baku|阿塞拜疆|巴库
the Bahamas|Nassau|巴哈马|拿骚
Bahrain|Manama|巴林|麦纳麦
Bangladesh|Dhaka|孟加拉国|达卡
Barbados|Bridgetown|巴巴多斯|布里奇敦
Belarus|Minsk|白俄罗斯|明斯克
Belgium|Brussels|比利时|布鲁塞尔
Belize|Belmopan|伯利兹|贝尔莫潘
Benin|Porto-Novo|贝宁|波多诺伏
Bhutan|Thimphu|不丹|廷布
Bolivia|Sucre|玻利维亚|苏克雷
Bosnia and Herzegovina|Sarajevo|波黑|萨拉热窝
Botswana|Gaborone|博茨瓦纳|哈博罗内
Brazil|Brasilia|巴西|巴西利亚
Brunei|Bandar Seri Begawan|文莱|斯里巴加湾市
Bulgaria|Sofia|保加利亚|索非亚
Burkina Faso|Ouagadougou|布基纳法索|瓦加杜古
Burundi|Gitega|布隆迪|基特加
Cambodia|Phnom Penh|柬埔寨|金边
Cameroon|Yaounde|喀麦隆|雅温得
Canada|Ottawa|加拿大|渥太华
Chad|N'Djamena|乍得|恩贾梅纳
Chile|Santiago|智利|圣地亚哥
China|Beijing|中国|北京
Colombia|Bogota|哥伦比亚|波哥大
the Comoros|Moroni|科摩罗|莫罗尼
Costa Rica|San Jose|哥斯达黎加|圣何塞
Croatia|Zagreb|克罗地亚|萨格勒布
Cuba|Havana|古巴|哈瓦那
Cyprus|Nicosia|塞浦路斯|尼科西亚
the Czech Republic|Prague|捷克|布拉格
Denmark|Copenhagen|丹麦|哥本哈根
Djibouti|Djibouti City|吉布提|吉布提市
the Dominican Republic|Santo Domingo|多米尼加|圣多明各
Ecuador|Quito|厄瓜多尔|基多
Egypt|Cairo|埃及|开罗
El Salvador|San Salvador|萨尔瓦多|圣萨尔瓦多
Eritrea|Asmara|厄立特里亚|阿斯马拉
Estonia|Tallinn|爱沙尼亚|塔林
Eswatini|Mbabane|斯威士兰|姆巴巴内
Ethiopia|Addis Ababa|埃塞俄比亚|亚的斯亚贝巴
Fiji|Suva|斐济|苏瓦
Finland|Helsinki|芬兰|赫尔辛基
France|Paris|法国|巴黎
Gabon|Libreville|加蓬|利伯维尔
the Gambia|Banjul|冈比亚|班珠尔
Georgia|Tbilisi|格鲁吉亚|第比利斯
Germany|Berlin|德国|柏林
Ghana|Accra|加纳|阿克拉
Greece|Athens|希腊|雅典
Grenada|Saint George's|格林纳达|圣乔治
Guatemala|Guatemala City|危地马拉|危地马拉城
Guinea|Conakry|几内亚|科纳克里
Guyana|Georgetown|圭亚那|乔治敦
Haiti|Port-au-Prince|海地|太子港
Honduras|Tegucigalpa|洪都拉斯|特古西加尔巴
Hungary|Budapest|匈牙利|布达佩斯
Iceland|Reykjavik|冰岛|雷克雅未克
India|New Delhi|印度|新德里
Indonesia|Jakarta|印度尼西亚|雅加达
Iran|Tehran|伊朗|德黑兰
Iraq|Baghdad|伊拉克|巴格达
Ireland|Dublin|爱尔兰|都柏林
Italy|Rome|意大利|罗马
Jamaica|Kingston|牙买加|金斯敦
Japan|Tokyo|日本|东京
Jordan|Amman|约旦|安曼
Kazakhstan|Astana|哈萨克斯坦|阿斯塔纳
Kenya|Nairobi|肯尼亚|内罗毕
Kuwait|Kuwait City|科威特|科威特城
Kyrgyzstan|Bishkek|吉尔吉斯斯坦|比什凯克
Laos|Vientiane|老挝|万象
Latvia|Riga|拉脱维亚|里加
Lebanon|Beirut|黎巴嫩|贝鲁特
Lesotho|Maseru|莱索托|马塞卢
Liberia|Monrovia|利比里亚|蒙罗维亚
Libya|Tripoli|利比亚|的黎波里
Liechtenstein|Vaduz|列支敦士登|瓦杜兹
Lithuania|Vilnius|立陶宛|维尔纽斯
Luxembourg|Luxembourg City|卢森堡|卢森堡市
Madagascar|Antananarivo|马达加斯加|塔那那利佛
Malawi|Lilongwe|马拉维|利隆圭
Malaysia|Kuala Lumpur|马来西亚|吉隆坡
the Maldives|Male|马尔代夫|马累
Mali|Bamako|马里|巴马科
Malta|Valletta|马耳他|瓦莱塔
Mauritania|Nouakchott|毛里塔尼亚|努瓦克肖特
Mauritius|Port Louis|毛里求斯|路易港
Mexico|Mexico City|墨西哥|墨西哥城
Moldova|Chisinau|摩尔多瓦|基希讷乌
Mongolia|Ulaanbaatar|蒙古国|乌兰巴托
Montenegro|Podgorica|黑山|波德戈里察
Morocco|Rabat|摩洛哥|拉巴特
Mozambique|Maputo|莫桑比克|马普托
Myanmar|Naypyidaw|缅甸|内比都
Namibia|Windhoek|纳米比亚|温得和克
Nepal|Kathmandu|尼泊尔|加德满都
the Netherlands|Amsterdam|荷兰|阿姆斯特丹
New Zealand|Wellington|新西兰|惠灵顿
Nicaragua|Managua|尼加拉瓜|马那瓜
Niger|Niamey|尼日尔|尼亚美
Nigeria|Abuja|尼日利亚|阿布贾
North Korea|Pyongyang|朝鲜|平壤
North Macedonia|Skopje|北马其顿|斯科普里
Norway|Oslo|挪威|奥斯陆
Oman|Muscat|阿曼|马斯喀特
Pakistan|Islamabad|巴基斯坦|伊斯兰堡
Panama|Panama City|巴拿马|巴拿马城
Paraguay|Asuncion|巴拉圭|亚松森
Peru|Lima|秘鲁|利马
the Philippines|Manila|菲律宾|马尼拉
Poland|Warsaw|波兰|华沙
Portugal|Lisbon|葡萄牙|里斯本
Qatar|Doha|卡塔尔|多哈
Romania|Bucharest|罗马尼亚|布加勒斯特
Russia|Moscow|俄罗斯|莫斯科
Rwanda|Kigali|卢旺达|基加利
Saudi Arabia|Riyadh|沙特阿拉伯|利雅得
Senegal|Dakar|塞内加尔|达喀尔
Serbia|Belgrade|塞尔维亚|贝尔格莱德
the Seychelles|Victoria|塞舌尔|维多利亚
Sierra Leone|Freetown|塞拉利昂|弗里敦
Singapore|Singapore|新加坡|新加坡
Slovakia|Bratislava|斯洛伐克|布拉迪斯拉发
Slovenia|Ljubljana|斯洛文尼亚|卢布尔雅那
Somalia|Mogadishu|索马里|摩加迪沙
South Africa|Pretoria|南非|比勒陀利亚
South Korea|Seoul|韩国|首尔
South Sudan|Juba|南苏丹|朱巴
Spain|Madrid|西班牙|马德里
Sri Lanka|Sri Jayawardenepura Kotte|斯里兰卡|科特
Sudan|Khartoum|苏丹|喀土穆
Suriname|Paramaribo|苏里南|帕拉马里博
Sweden|Stockholm|瑞典|斯德哥尔摩
Switzerland|Bern|瑞士|伯尔尼
Syria|Damascus|叙利亚|大马士革
Tajikistan|Dushanbe|塔吉克斯坦|杜尚别
Tanzania|Dodoma|坦桑尼亚|多多马
Thailand|Bangkok|泰国|曼谷
Togo|Lome|多哥|洛美
Tunisia|Tunis|突尼斯|突尼斯市
Turkey|Ankara|土耳其|安卡拉
Turkmenistan|Ashgabat|土库曼斯坦|阿什哈巴德
Uganda|Kampala|乌干达|坎帕拉
Ukraine|Kyiv|乌克兰|基辅
the United Arab Emirates|Abu Dhabi|阿联酋|阿布扎比
the United Kingdom|London|英国|伦敦
the United States|Washington, D.C.|美国|华盛顿
Uruguay|Montevideo|乌拉圭|蒙得维的亚
Uzbekistan|Tashkent|乌兹别克斯坦|塔什干
Venezuela|Caracas|委内瑞拉|加拉加斯
Vietnam|Hanoi|越南|河内
Yemen|Sanaa|也门|萨那
Zambia|Lusaka|赞比亚|卢萨卡
Zimbabwe|Harare|津巴布韦|哈拉雷
"""

CAPITALS = tuple(Capital(*row.split("|")) for row in TABLE.splitlines())
