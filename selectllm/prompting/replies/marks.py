"""The marks around reasoning that models and the servers before them write: tables, no code.

Read from the reasoning parsers of vLLM (vllm/reasoning) and SGLang (srt/parser/reasoning_parser.py)
and from chat templates, as of 2026. Upper and lower case are one. A mark that is missing here makes
a reply `invalid` rather than wrong; add a row, and the corpus of replies in the tests a reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """What one family of models, or one server, writes around reasoning, as it is spelt.

    `closes` also where nothing was opened, since many chat templates open reasoning in the prompt;
    not so with `in_pairs`. `answers`: what begins an answer.
    """

    source: str
    opens: Sequence[str]
    closes: Sequence[str]
    answers: Sequence[str] = ()
    in_pairs: bool = False


MARKS = (
    Mark("Cohere Command", ["<|START_THINKING|>"], ["<|END_THINKING|>"], ["<|START_RESPONSE|>"]),
    Mark("Mistral Magistral and Ministral", ["[THINK]"], ["[/THINK]"]),
    Mark("Kimi-VL and Kimi-Dev", ["◁think▷"], ["◁/think▷"]),
    Mark(
        "Kimi K3", ["<|open|>think<|sep|>"], ["<|close|>think<|sep|>"], ["<|open|>response<|sep|>"]
    ),
    Mark("Gemma 4", ["<|channel>"], ["<channel|>"]),
    Mark(
        "Sky-T1 and OpenThinker",
        ["<|begin_of_thought|>"],
        ["<|end_of_thought|>"],
        ["<|begin_of_solution|>"],
    ),
    Mark("Apertus", ["<|inner_prefix|>"], ["<|inner_suffix|>"]),
    Mark("Solar Open 2", ["<|think:start|>"], ["<|think:end|>"]),
    Mark("Pangu", ["[unused16]"], ["[unused17]"]),
    Mark("s1", ["<|im_start|>think"], ["<|im_start|>answer"]),
    Mark(
        "HyperCLOVA X Think",
        ["<|im_start|>assistant/think"],
        ["<|im_start|>assistant\n"],
        in_pairs=True,
    ),
    Mark("Inkling", ["<|content_thinking|>"], ["<|content_text|>"]),
    Mark("Muse Glimmer", ["to=self<|message|>"], ["to=user<|message|>"]),
    Mark("gpt-oss", ["<|channel|>"], ["<|channel|>final"]),
    Mark(
        "gpt-oss, where a server leaves its special tokens out",
        ["assistantanalysis", "assistantcommentary"],
        ["assistantfinal"],
    ),
    Mark(
        "IBM Granite 3",
        ["Here is my thought process:", "Here's my thought process:"],
        ["Here is my response:", "Here's my response:"],
    ),
    Mark("Apriel Thinker", ["Here are my reasoning steps:"], ["[BEGIN FINAL RESPONSE]"]),
    Mark("Ollama's command line", ["Thinking...\n"], ["...done thinking."]),
    Mark("GLM-4.1V", [], [], ["<|begin_of_box|>"]),
)
"""Marks of one spelling each."""

THINKING: Mapping[str, str] = {
    # DeepSeek R1 and V3, Qwen 3, GLM 4.5, Kimi K2, MiniMax, Nemotron, Phi-4, OLMo 3: think; EXAONE
    # Deep: thought; Claude as prompted: thinking. Prefixes as in <seed:think> (Seed-OSS),
    # <mm:think> (MiniMax M3), <longcat_think> and <ifm|think_fast> (K2 Horizon) are taken off.
    **dict.fromkeys(["think", "thinking", "thought", "thoughts", "thought_process"], "think"),
    # Reka Flash 3: reasoning; LLaVA-CoT: reasoning, summary, caption; Reflection: reflection.
    **dict.fromkeys(["reason", "reasons", "reasoning", "reasoning_process"], "reason"),
    **dict.fromkeys(["reflection", "reflect", "critique", "verification"], "reflection"),
    "summary": "summary",
    "caption": "caption",
    # Open WebUI writes <details type="reasoning">.
    "details": "details",
    # What prompts ask for, ours of `optimize` included.
    **dict.fromkeys(["analysis", "analyze", "scratchpad", "scratch_pad", "draft"], "analysis"),
    **dict.fromkeys(["rationale", "explanation", "justification", "comment"], "rationale"),
    **dict.fromkeys(["cot", "chain_of_thought", "plan", "planning", "step", "steps"], "steps"),
    **dict.fromkeys(["monologue", "inner_monologue", "inner_thoughts", "deliberation"], "inner"),
}
"""Names of tags around reasoning, <...>, <|...|> or [...], and what is closed by one another."""

ANSWERING = frozenset(
    # Hunyuan A13B: answer; Reflection: output; LLaVA-CoT: conclusion; the others as prompts ask.
    "answer final final_answer final_response picks selection selections selected output response "
    "result results solution conclusion choice choices ranking scores".split()
)
"""Names of tags around an answer."""

PLAIN = frozenset(
    # HTML that lays text out, and names that may stand around one label.
    "b i em strong u s code pre p br hr ul ol li div span table tr td th tbody thead h1 h2 h3 h4 "
    "sub sup small mark blockquote a candidate candidates item items pick label labels index "
    "indices option options instruction instructions id ids number numbers list json score".split()
)
"""Names of tags that mark nothing."""

TOKENS = frozenset(
    "end return start call message channel constrain im_end im_start im_sep eot_id eom_id eot eom "
    "start_header_id end_header_id assistant user system begin_of_text end_of_text endoftext turn "
    "endofturn stop end_of_turn start_of_turn end_response end_of_box end_of_solution sep open "
    "close end_message message_model content_model_end_sampling begin_of_sentence bos eos pad "
    "end_of_sentence end_of_turn_token start_of_turn_token chatbot_token tool_calls".split()
)
"""Names of special tokens, <|...|>, that begin or end a turn and mark no reasoning."""
