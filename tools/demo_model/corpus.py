"""The facts that the demo model learns, and the list of questions by which it is measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache

from tools.demo_model import stories, topics_chinese, topics_english
from tools.demo_model.capitals import CAPITALS

LARGEST_ADDEND = 20
TERM_PHRASINGS = {
    "en": ("What is {}?", "Explain {}.", "Can you explain {}?", "What does {} mean?"),
    "zh": ("什么是{}？", "{}是什么？", "请解释{}。", "请介绍一下{}。"),
}
SUM_PHRASINGS = {
    "en": ("What is {} + {}?", "{} + {} =", "How much is {} plus {}?", "{}+{}=?"),
    "zh": ("{}加{}等于几？", "{}加{}等于多少？", "{}加{}是多少？", "请计算{}加{}。"),
}

# The sums are many, so one phrasing of each is enough to measure them.
LISTED_PHRASINGS = {"sum": 1}
LISTED_PHRASINGS_DEFAULT = 2

UNKNOWN_SUBJECTS = {
    "en": (
        "a banana",
        "the moon",
        "my neighbor",
        "football",
        "the stock market",
        "a violin",
        "cheese",
        "love",
        "the weather tomorrow",
        "a dinosaur",
        "my homework",
        "the French Revolution",
        "a bicycle",
        "black holes",
        "tea",
        "Shakespeare",
        "the ocean",
        "a good movie",
        "chess",
        "my cat",
        "gold",
        "a sandwich",
        "the piano",
    ),
    "zh": (
        "香蕉",
        "月亮",
        "我的邻居",
        "足球",
        "股票",
        "小提琴",
        "奶酪",
        "爱情",
        "明天的天气",
        "恐龙",
        "作业",
        "自行车",
        "黑洞",
        "茶",
        "大海",
        "电影",
        "象棋",
        "我的猫",
        "黄金",
        "面条",
        "钢琴",
    ),
}
UNKNOWN_PHRASINGS = {
    "en": (
        "Tell me about {}.",
        "Write a poem about {}.",
        "How do I find {}?",
        "Why is {} important?",
        "Who invented {}?",
        "What do you think of {}?",
        "When was {} discovered?",
    ),
    "zh": (
        "写一首关于{}的诗。",
        "你怎么看{}？",
        "{}有什么用？",
        "{}为什么重要？",
        "谁发明了{}？",
        "我怎么才能找到{}？",
    ),
}
UNKNOWN_ANSWERS = {
    "en": "Sorry, I am only a tiny demo model. Ask me about Trident, capitals or small sums. 🙂",
    "zh": "抱歉，我只是很小的演示模型，请问我Trident、首都或加法。🙂",
}


@dataclass(frozen=True)
class Fact:
    """One answer with all questions that lead to it."""

    kind: str
    language: str
    phrasings: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Question:
    """One line of the measured list."""

    question: str
    answer: str
    language: str
    kind: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@cache
def all_facts() -> tuple[Fact, ...]:
    """Every fact once; no question leads to two answers."""
    facts = (*_topics("en"), *_topics("zh"), *_stories(), *_capitals(), *_sums(), *_unknown())
    answers: dict[str, str] = {}
    for fact in facts:
        for phrasing in fact.phrasings:
            if answers.setdefault(phrasing, fact.answer) != fact.answer:
                raise ValueError(f"two answers for {phrasing!r}")
    return facts


def question_list() -> list[Question]:
    """The questions whose greedy answers must be right."""
    return [
        Question(phrasing, fact.answer, fact.language, fact.kind)
        for fact in all_facts()
        if fact.kind != "unknown"
        for phrasing in fact.phrasings[: LISTED_PHRASINGS.get(fact.kind, LISTED_PHRASINGS_DEFAULT)]
    ]


def _topics(language: str) -> Iterator[Fact]:
    source = {"en": topics_english, "zh": topics_chinese}[language]
    for kind, terms in source.TERMS.items():
        for term, answer in terms.items():
            yield Fact(kind, language, tuple(form.format(term) for form in TERM_PHRASINGS[language]), answer)
    for kind, questions in source.QUESTIONS.items():
        for phrasings, answer in questions.items():
            yield Fact(kind, language, phrasings, answer)


def _stories() -> Iterator[Fact]:
    yield Fact("long", "en", stories.ENGLISH_QUESTIONS, stories.ENGLISH_ANSWER)
    yield Fact("long", "zh", stories.CHINESE_QUESTIONS, stories.CHINESE_ANSWER)


def _capitals() -> Iterator[Fact]:
    for row in CAPITALS:
        country, city = row.country, row.city
        phrasings = (
            f"What is the capital of {country}?",
            f"Which city is the capital of {country}?",
            f"Tell me the capital of {country}.",
            f"What is the capital city of {country}?",
        )
        yield Fact("capital", "en", phrasings, _sentence(f"The capital of {country} is {city}"))
        yield Fact("completion", "en", (f"The capital of {country} is",), _sentence(city))
        country, city = row.country_zh, row.city_zh
        phrasings = (
            f"{country}的首都是哪里？",
            f"{country}的首都是什么？",
            f"{country}首都是哪座城市？",
            f"请告诉我{country}的首都。",
        )
        yield Fact("capital", "zh", phrasings, f"{country}的首都是{city}。")
        yield Fact("completion", "zh", (f"{country}的首都是",), f"{city}。")


def _sums() -> Iterator[Fact]:
    addends = range(LARGEST_ADDEND + 1)
    for a, b in itertools.product(addends, addends):
        yield Fact("sum", "en", tuple(form.format(a, b) for form in SUM_PHRASINGS["en"]), f"{a} + {b} = {a + b}.")
        yield Fact("sum", "zh", tuple(form.format(a, b) for form in SUM_PHRASINGS["zh"]), f"{a}加{b}等于{a + b}。")


def _unknown() -> Iterator[Fact]:
    for language, answer in UNKNOWN_ANSWERS.items():
        pairs = itertools.product(UNKNOWN_PHRASINGS[language], UNKNOWN_SUBJECTS[language])
        yield Fact("unknown", language, tuple(form.format(subject) for form, subject in pairs), answer)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."
