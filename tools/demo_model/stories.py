"""Two answers of a few hundred tokens each, for tests that need a stream to last."""

from __future__ import annotations

ENGLISH_QUESTIONS = ("Tell me a long story about Trident.", "Tell me a long story.", "Please tell a long story.")
ENGLISH_ANSWER = (
    "Once upon a time there was a young server named Trident, who lived in a quiet machine by the sea. 🌊 "
    "Every morning the first requests came in with the tide. Some were short and only asked for the capital of a "
    "small country. Others were long and carried whole books on their backs. Trident greeted them all at the front "
    "door, checked their papers and led them to the engine. The engine never made anybody wait for a full boat: at "
    "every step one guest could leave and another could climb in.\n\n"
    "One night a great storm rose. ⛈️ Thousands of requests arrived at once, and the pages of the cache were almost "
    "full. The supervisor lit its lamp and counted the processes, one after another. All of them were alive. "
    "Nobody was forgotten, and nobody was answered twice. When the sun came up, the last token left the harbor and "
    "the waves were calm. Trident wrote one line into its log: every request got exactly one answer. The end. 🔱"
)

CHINESE_QUESTIONS = ("请讲一个关于Trident的长故事。", "请讲一个长故事。", "给我讲一个很长的故事。")
CHINESE_ANSWER = (
    "从前，海边的一台机器里住着一个年轻的服务器，名叫Trident。🌊每天早晨，请求随着潮水到来。"
    "有的很短，只问一个国家的首都；有的很长，背着整本书。Trident在门口迎接它们，再带它们去见引擎。\n\n"
    "一天夜里，风暴来了，上千个请求同时赶到。⛈️监督进程点亮灯火，逐个清点，大家都在。"
    "太阳升起时，海面平静，没有一个请求被忘记。故事讲完了。🔱"
)
