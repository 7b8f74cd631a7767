"""Chat templates, in our own words, that render the published prompts byte for byte."""

from __future__ import annotations

__all__ = [
    "CHATML",
    "CHATML_KNOWN_ROLES",
    "LIGHTON_RERANK",
    "PRISM_RERANKER",
    "QWEN2_VL_CHAT",
    "QWEN3_5_CHAT",
    "QWEN3_5_CHAT_THINKING",
    "QWEN3_RERANKER",
    "QWEN3_VL_CHAT",
    "QWEN3_VL_RERANKER",
]

_SYSTEM_TURN = (
    "<|im_start|>system\\n"
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\\n'
)

# Source: model card of Qwen/Qwen3-Reranker-0.6B, section "Usage"; roles as sentence-transformers
# sends them. Contents are plain strings ("flat").
QWEN3_RERANKER = (
    "{%- set ns = namespace(instruction="
    "'Given a web search query, retrieve relevant passages that answer the query', "
    "query='', document='') -%}\n"
    "{%- for message in messages -%}\n"
    "    {%- if message.role == 'system' -%}{%- set ns.instruction = message.content -%}\n"
    "    {%- elif message.role == 'query' -%}{%- set ns.query = message.content -%}\n"
    "    {%- elif message.role == 'document' -%}{%- set ns.document = message.content -%}\n"
    "    {%- endif -%}\n"
    "{%- endfor -%}\n"
    "{{- '" + _SYSTEM_TURN + "' -}}\n"
    "{{- '<|im_start|>user\\n<Instruct>: ' + ns.instruction -}}\n"
    "{{- '\\n<Query>: ' + ns.query + '\\n<Document>: ' + ns.document + '<|im_end|>\\n' -}}\n"
    "{{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' -}}\n"
)

# Source: qwen3_vl_reranker.py of the same project, 2026-01-19. Contents are strings or lists of
# parts, rendered in the order given ("structured").
_RENDER_PARTS = (
    "{%- macro render(content) -%}\n"
    "    {%- if content is string -%}{{- content -}}\n"
    "    {%- else -%}\n"
    "        {%- for part in content -%}\n"
    "            {%- if part.type == 'image' -%}"
    "{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}\n"
    "            {%- elif part.type == 'video' -%}"
    "{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}\n"
    "            {%- elif part.type == 'text' -%}{{- part.text -}}\n"
    "            {%- endif -%}\n"
    "        {%- endfor -%}\n"
    "    {%- endif -%}\n"
    "{%- endmacro -%}\n"
)
QWEN3_VL_RERANKER = (
    _RENDER_PARTS + "{%- set ns = namespace(instruction="
    "'Given a search query, retrieve relevant candidates that answer the query.', "
    "query='', document='') -%}\n"
    "{%- for message in messages -%}\n"
    "    {%- if message.role == 'system' -%}{%- set ns.instruction = render(message.content) -%}\n"
    "    {%- elif message.role == 'query' -%}{%- set ns.query = render(message.content) -%}\n"
    "    {%- elif message.role == 'document' -%}"
    "{%- set ns.document = render(message.content) -%}\n"
    "    {%- endif -%}\n"
    "{%- endfor -%}\n"
    "{{- '" + _SYSTEM_TURN + "' -}}\n"
    "{{- '<|im_start|>user\\n<Instruct>: ' + ns.instruction -}}\n"
    "{{- '<Query>:' + ns.query + '\\n<Document>:' + ns.document + '<|im_end|>\\n' -}}\n"
    "{{- '<|im_start|>assistant\\n' -}}\n"
)

# An ordinary chat template: it knows no query and no document.
QWEN3_VL_CHAT = (
    _RENDER_PARTS + "{%- for message in messages -%}\n"
    "    {%- if message.role in ('system', 'user', 'assistant') -%}\n"
    "        {{- '<|im_start|>' + message.role + '\\n' + render(message.content) -}}\n"
    "        {{- '<|im_end|>\\n' -}}\n"
    "    {%- endif -%}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n"
)

# Source: chat templates of Qwen/Qwen3.5-0.8B (an empty thought unless thoughts are asked for) and
# of Qwen/Qwen3.5-4B (a thought unless it is forbidden), in our words.
_ANSWER_TURN = "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n"
QWEN3_5_CHAT = QWEN3_VL_CHAT.replace(
    _ANSWER_TURN,
    "{%- if add_generation_prompt -%}\n"
    "    {{- '<|im_start|>assistant\\n<think>\\n' -}}\n"
    "    {%- if not enable_thinking -%}{{- '\\n</think>\\n\\n' -}}{%- endif -%}\n"
    "{%- endif -%}\n",
)
QWEN3_5_CHAT_THINKING = QWEN3_5_CHAT.replace(
    "not enable_thinking", "enable_thinking is defined and not enable_thinking"
)

# Source: chat template of Qwen/Qwen2-VL-2B-Instruct, in our words: a system turn is made up where
# there is none.
QWEN2_VL_CHAT = (
    _RENDER_PARTS + "{%- if messages[0].role != 'system' -%}\n"
    "    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}\n"
    "{%- endif -%}\n"
    "{%- for message in messages -%}\n"
    "    {{- '<|im_start|>' + message.role + '\\n' + render(message.content) -}}\n"
    "    {{- '<|im_end|>\\n' -}}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n"
)

# Assumed: the published template was not at hand, only that the score is Yes minus No.
LIGHTON_RERANK = (
    _RENDER_PARTS + "{%- set ns = namespace(query='', document='') -%}\n"
    "{%- for message in messages -%}\n"
    "    {%- if message.role == 'query' -%}{%- set ns.query = render(message.content) -%}\n"
    "    {%- elif message.role == 'document' -%}"
    "{%- set ns.document = render(message.content) -%}\n"
    "    {%- endif -%}\n"
    "{%- endfor -%}\n"
    "{{- '<|im_start|>user\\nDocument: ' + ns.document + '\\nQuery: ' + ns.query -}}\n"
    "{{- '\\nIs the document relevant? Yes or No.<|im_end|>\\n<|im_start|>assistant\\n' -}}\n"
)

# Passes every role through.
CHATML = (
    "{%- for message in messages -%}\n"
    "    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n"
)

# Drops the roles query and document.
CHATML_KNOWN_ROLES = (
    "{%- for message in messages -%}\n"
    "    {%- if message.role in ('system', 'user', 'assistant') -%}\n"
    "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}\n"
    "    {%- endif -%}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n"
)

# Source: chat_template.jinja of infgrad/Prism-Qwen3.5-Reranker-9B. Contents are plain strings.
PRISM_RERANKER = """
{%- set query_text = messages | selectattr("role", "eq", "query") | map(attribute="content") \
| first -%}
{%- set document_text = messages | selectattr("role", "eq", "document") \
| map(attribute="content") | first -%}
<|im_start|>system
Judge whether the Document meets the requirements based on the Query and the Instruct provided. \
<|im_end|>
<|im_start|>user
<Instruct>: Judge if the document is relevant to the query. Reply "yes" or "no".
On "yes", also emit:
<contribution>One sentence covering every core point the document contributes to the query, \
without elaboration.</contribution>
<evidence>Self-contained rewrite of the query-relevant content. Rules:
- Faithful: rephrase only; add or infer nothing.
- Self-contained: evidence alone must fully answer the query.
- Concise: drop query-irrelevant background.
- Verbatim (no translation): proper nouns, terms, abbreviations, numbers, dates, code, URLs.
- Output language: multilingual doc → query's language; else doc's language.</evidence>
<Query>: {{ query_text }}
<Document>: {{ document_text }}<|im_end|>
<|im_start|>assistant
<think>

</think>


"""
