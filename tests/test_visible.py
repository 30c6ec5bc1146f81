"""What a terminal is shown of text from outside: nothing hidden, nothing obeyed, and scripts and emoji whole."""

from __future__ import annotations

import pytest

from ritesmith.visible import visible

TAGS = "".join(chr(0xE0000 + ord(letter)) for letter in "go")
SELECTORS = "\U000e0100\U000e01ef"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("naïve 北京 ١٠ наука", "naïve 北京 ١٠ наука"),
        ("❤️ 👩\u200d💻 می\u200cخواهم", "❤️ 👩\u200d💻 می\u200cخواهم"),
        (f"a{TAGS}b", "a\\U000e0067\\U000e006fb"),
        (f"a{SELECTORS}b", "a\\U000e0100\\U000e01efb"),
        ("re\u00adfund\u200b\u2060\ufeff\u3164", "re\\u00adfund\\u200b\\u2060\\ufeff\\u3164"),
        ("one\u2028two", "one\\u2028two"),
        ("\x1b[31mred\x07", "\\u001b[31mred\\u0007"),
        ("\u202egnihton", "\\u202egnihton"),
        ("\U0001fffe", "\\U0001fffe"),
    ],
)
def test_what_nobody_would_see_is_shown_by_its_number(text, shown):
    assert visible(text) == shown


def test_an_intent_with_hidden_letters_shows_them(cli, place):
    told = cli("forge", f"refund{TAGS} the moon\u200b", "--dry-run")
    assert told.code == 6
    assert not any(0xE0000 <= ord(letter) <= 0xE0FFF or letter == "\u200b" for letter in f"{told.words}{told.out}")
    assert "\\U000e0067" in told.words
