// Every word of the page in English and Chinese. Elements name theirs by data-word, data-label or data-placeholder.

const WORDS = {
  skip: ['Skip to the numbers', '跳到数据'],
  window: ['Time shown', '显示时段'],
  pause: ['Pause', '暂停'],
  resume: ['Resume', '继续'],
  theme: ['Light or dark', '浅色或深色'],
  leave: ['Sign out', '退出'],
  tabs: ['Views', '视图'],
  overview: ['Overview', '总览'],
  requests: ['Requests', '请求'],
  logs: ['Logs', '日志'],
  server: ['Server', '服务器'],
  playground: ['Playground', '对话'],
  objectives: ['Objectives', '服务目标'],
  why_slow: ['Why slow?', '为什么慢？'],
  in_flight: ['In flight', '进行中的请求'],
  processes: ['Processes', '进程'],
  totals: ['Since the start', '启动以来'],
  show_prompts: ['Show prompts', '显示提示内容'],
  prompts_hidden: ['Prompts are hidden; --show-prompts allows them', '提示内容已隐藏；可用 --show-prompts 开启'],
  filter: ['Filter lines', '筛选日志行'],
  follow: ['Follow', '跟随'],
  log: ['End of the log', '日志末尾'],
  model: ['Model', '模型'],
  system: ['System prompt', '系统提示'],
  temperature: ['Temperature', '温度'],
  max_tokens: ['Longest answer, tokens', '回答上限（token）'],
  clear: ['New chat', '新对话'],
  ask: ['Ask the model. Enter sends, Shift+Enter makes a line.', '向模型提问。Enter 发送，Shift+Enter 换行。'],
  send: ['Send', '发送'],
  stop: ['Stop', '停止'],
  keys_help: ['Keys: 1–5 views · p pause · t colours · l language', '快捷键：1–5 视图 · p 暂停 · t 颜色 · l 语言'],
  updated: ['Read at {time}, every {s} s', '读取于 {time}，每 {s} 秒'],
  paused: ['Paused at {time}', '已暂停于 {time}'],
  offline: ['The monitor does not answer; trying again.', '监控没有回应；正在重试。'],
  up_for: ['up {time}', '已运行 {time}'],
  key: ['API key of this server', '此服务器的 API 密钥'],
  enter: ['Open the monitor', '打开监控'],
  wrong_key: ['That is not one of this server’s keys.', '这不是此服务器的密钥。'],
  no_server: ['The monitor does not answer.', '监控没有回应。'],
  // Tiles and charts.
  requests_rate: ['Requests', '请求速率'],
  output_tokens: ['Output tokens', '输出 token'],
  ttft: ['Time to first token', '首 token 时间'],
  itl: ['Between tokens', 'token 间隔'],
  e2e: ['Whole request', '整个请求'],
  running: ['Running', '运行中'],
  waiting: ['Waiting', '等待中'],
  kv: ['KV cache', 'KV 缓存'],
  first_token: ['First token', '首 token'],
  refused: ['refused', '被拒'],
  failed_n: ['{n} failed', '失败 {n}'],
  memory_n: ['memory {n}', '内存 {n}'],
  gpu: ['GPU', 'GPU'],
  gpu_memory: ['GPU memory', 'GPU 内存'],
  power: ['Power', '功率'],
  cpu: ['CPU', 'CPU'],
  tokens: ['Tokens', 'Token 速率'],
  batch: ['Running and waiting', '运行与等待'],
  time_split: ['Where the time goes', '时间花在哪里'],
  temperature_gpu: ['Temperature', '温度'],
  in_front: ['in front', '引擎前'],
  in_queue: ['queue', '排队'],
  prefill: ['prefill', '预填充'],
  decode: ['decode', '解码'],
  output: ['output', '输出'],
  prompt: ['prompt', '提示'],
  engine: ['engine', '引擎'],
  doors: ['front doors', '前端'],
  utilization: ['busy', '利用率'],
  memory: ['memory', '内存'],
  used: ['used', '已用'],
  reused: ['prompts reused', '提示复用'],
  per_s: ['/s', '/秒'],
  minute: ['last minute', '最近一分钟'],
  ten_s: ['last 10 s', '最近 10 秒'],
  per_request: ['mean of a request', '每个请求平均'],
  now: ['now', '现在'],
  of: ['of {n}', '共 {n}'],
  prompt_rate: ['{n} prompt/s', '提示 {n}/秒'],
  in_front_n: ['{n} in front', '引擎前 {n}'],
  reuse_n: ['{n} reused', '复用 {n}'],
  per_step: ['{n} tokens a step', '每步 {n} token'],
  preempted: ['{n} preempted/min', '每分钟抢占 {n}'],
  joules: ['{n} J a token', '每 token {n} J'],
  cores: ['cores', '核'],
  // Objectives and hints.
  availability: ['Availability', '可用性'],
  slo_ttft: ['First token in {s}', '首 token 在 {s} 内'],
  slo_tpot: ['Each token in {s}', '每 token 在 {s} 内'],
  target: ['target {n}', '目标 {n}'],
  budget_left: ['{n} of the budget left', '预算剩余 {n}'],
  budget_gone: ['budget overspent', '预算已超支'],
  burn: ['burns {n}× (5 min)', '消耗 {n} 倍（5 分钟）'],
  too_few: ['too few requests yet', '请求还太少'],
  all_well: ['Nothing is in the way.', '没有发现瓶颈。'],
  all_well_more: ['Rules look for queues, full memory, preemptions, stuck engines, throttling and more.',
    '规则会检查排队、内存已满、抢占、引擎卡住、降频等情况。'],
  // Requests.
  age: ['Age', '时长'], state: ['State', '状态'], door: ['Door', '入口'], client: ['User', '用户'],
  prompt_tokens: ['Prompt', '提示'], made: ['Answer, tokens', '回答（token）'], asked: ['Asked', '内容'],
  queued: ['queued', '排队'], starting: ['starting', '开始'], decoding: ['decoding', '解码'],
  none_in_flight: ['Nothing is in flight.', '没有进行中的请求。'],
  shown_of: ['{n} in flight, the oldest {shown} shown', '进行中 {n} 个，显示最早的 {shown} 个'],
  more: ['{n} more under Requests', '其余 {n} 个见“请求”'],
  // Server.
  starting_up: ['starting', '启动中'], ready: ['ready', '就绪'], degraded: ['degraded', '降级'], gone: ['not running', '未运行'],
  draining: ['draining', '排空中'], stopping: ['stopping', '停止中'], stopped: ['stopped', '已停止'], server_failed: ['failed', '失败'],
  restarts: ['{n} restarts', '重启 {n} 次'], mended: ['{n} replaced', '替换 {n} 个'],
  doors_title: ['Front doors', '入口'], answered: ['first answer in {s}', '首次应答 {s}'], versions: ['Versions', '版本'],
  facts: ['Engine', '引擎'], configuration: ['Configuration', '配置'], secrets: ['Keys are not shown.', '密钥不显示。'],
  metrics_link: ['All metrics as text', '全部指标（文本）'], part_of: ['of {name}', '属于 {name}'],
  // Playground.
  turn_meta: ['first token {ttft}, {n} tokens, {rate} tokens/s', '首 token {ttft}，{n} 个 token，{rate} token/秒'],
  chat_empty: ['A chat with the model this server runs. It goes the way of every client’s request: look at Requests meanwhile.',
    '与此服务器上的模型对话。它和其他客户端的请求走同一条路：可同时查看“请求”。'],
  h: ['h', '小时'], min: ['min', '分'], d: ['d', '天'],
  turn_stopped: ['stopped', '已停止'],
};

let language = localStorage.getItem('language') || (navigator.language.startsWith('zh') ? 'zh' : 'en');

export const current = () => language;

// A word with its {places} filled.
export function word(name, places = {}) {
  const both = WORDS[name];
  if (!both) return name;
  return both[language === 'zh' ? 1 : 0].replace(/\{(\w+)\}/g, (_, place) => places[place] ?? '');
}

export function apply(root = document) {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  root.querySelectorAll('[data-word]').forEach((each) => { each.textContent = word(each.dataset.word); });
  root.querySelectorAll('[data-label]').forEach((each) => {
    each.setAttribute('aria-label', word(each.dataset.label));
    each.title = each.matches('button') ? word(each.dataset.label) : '';
  });
  root.querySelectorAll('[data-placeholder]').forEach((each) => {
    each.placeholder = word(each.dataset.placeholder);
    each.setAttribute('aria-label', word(each.dataset.placeholder));
  });
}

export function toggle() {
  language = language === 'zh' ? 'en' : 'zh';
  localStorage.setItem('language', language);
  apply();
}
