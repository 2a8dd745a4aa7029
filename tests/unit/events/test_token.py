"""A token travels, merges, and belongs to one log."""

import pytest

from diptych import Token
from diptych.errors import ForeignToken, InvalidMessage


def test_a_token_travels_as_text():
    token = Token("log-1", 12, "Account-ä", 3)
    assert Token.parse(str(token)) == token
    assert "=" not in str(token)


@pytest.mark.parametrize("text", ["", "x", "ä", "e30", "bnVsbA", "W10", "=" * 5, "a b", "A" * 9999])
def test_what_is_no_token_is_refused(text):
    with pytest.raises(InvalidMessage, match="is not a token"):
        Token.parse(text)


def test_merged_tokens_wait_for_both():
    low, high = Token("log", 3, "a", 1), Token("log", 5, "a", 2)
    assert low.merge(high) is high
    assert high.merge(low) is high
    with pytest.raises(ForeignToken):
        low.merge(Token("other", 1))


def test_merged_tokens_of_two_streams_speak_for_no_single_one():
    merged = Token("log", 7, "cart-1", 2).merge(Token("log", 9, "cart-2", 1))
    assert merged == Token("log", 9)
    same = Token("log", 7, "cart-1", 2).merge(Token("log", 9, "cart-1", 3))
    assert same == Token("log", 9, "cart-1", 3)
    nothing = Token("log", 0, "cart-2")
    assert nothing.merge(same) == same == same.merge(nothing)
