"""Neutral sentences the tiny tokenizers are trained on."""

from __future__ import annotations

__all__ = ["SENTENCES", "training_lines"]

SENTENCES = (
    "The ferry leaves the harbour at noon and returns before dark.",
    "A baker weighs flour, water, salt and yeast for the morning bread.",
    "How many people live in the city near the river?",
    "The city has a population of three million people.",
    "The museum of the town is closed on Monday.",
    "Which planet is known as the red planet?",
    "Dust and iron make the surface of the planet look red.",
    "A small telescope shows the rings of the largest planets.",
    "The train to the mountains stops at every village.",
    "Rain fell on the garden all night, and the roses are in flower.",
    "A man is eating a piece of bread on the bench.",
    "A woman plays the violin in front of the station.",
    "Two children run across the field with a red ball.",
    "The report of the third quarter shows higher revenue and lower cost.",
    "What is the price of a ticket for the evening concert?",
    "Tickets for the concert cost twenty at the door.",
    "Python is a language in which many small programs are written.",
    "The judge read the document and answered the query of the court.",
    "Water boils at a lower temperature on a high mountain.",
    "The blue square is left of the green circle in the picture.",
    "A picture of a cat, a video of a dog, the sound of a bell.",
    "Numbers: 0 1 2 3 4 5 6 7 8 9, 10, 100 and 2026.",
)

_PROMPT_WORDS = (
    "system user assistant query document Instruct Query Document",
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    "provided. Note that the answer can only be yes or no.",
    "Given a web search query, retrieve relevant passages that answer the query",
    "Given a search query, retrieve relevant candidates that answer the query.",
)
# Byte-level BPE joins punctuation with what follows; the prompts' borders must show that, too.
_JOINTS = ("answer.<Query>: word.\n<Document>: word?\n\n", "<Query>:word\n<Document>:word\n\n")


def training_lines(*, answers: tuple[str, ...] = ()) -> list[str]:
    """Sentences and prompt words; each answer often and at a line's start, to become one token."""
    return [*SENTENCES, *_PROMPT_WORDS * 4, *_JOINTS * 20, *answers * 50]
