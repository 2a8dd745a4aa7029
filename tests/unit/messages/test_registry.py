"""Stable names, and the way from stored bytes to the present class."""

from __future__ import annotations

import pytest

from diptych import Event, upcaster
from diptych.errors import (
    ConfigurationError,
    InvalidMessage,
    UnknownMessageType,
    UpcastFailed,
)
from diptych.messages.registry import Registry, place_of


class Moved(Event, name="person.moved", version=3):
    person: str
    street: str
    country: str


@upcaster("person.moved", version=1)  # version 1 had one field for the whole address
def split_the_address(shape):
    street, _, country = shape["address"].partition(", ")
    return {"person": shape["person"], "street": street, "land": country}


@upcaster("person.moved", version=2)  # version 2 said land
def land_is_country(shape):
    return {**{k: v for k, v in shape.items() if k != "land"}, "country": shape["land"]}


# What earlier releases have written, byte for byte. These never change.
STORED = {
    1: b'{"person":"ann","address":"Elm Street 1, UK"}',
    2: b'{"person":"ann","street":"Elm Street 1","land":"UK"}',
    3: b'{"person":"ann","street":"Elm Street 1","country":"UK"}',
}


def registry(*upcasters) -> Registry:
    made = Registry(upcasters)
    made.add(Moved)
    return made


@pytest.mark.parametrize("version", STORED)
def test_every_shape_that_was_ever_stored_can_be_read(version):
    made = registry(split_the_address, land_is_country)
    made.check()
    event = made.decode("person.moved", version, STORED[version])
    assert event == Moved("ann", "Elm Street 1", "UK")


def test_what_is_written_today_is_what_was_written_yesterday():
    made = registry()
    assert made.of(Moved).codec.encode(Moved("ann", "Elm Street 1", "UK")) == STORED[3]


def test_a_version_from_the_future_says_that_a_newer_release_wrote_it():
    with pytest.raises(UpcastFailed, match="a newer release wrote it"):
        registry().decode("person.moved", 4, b"{}")


def test_a_step_that_is_missing_is_named_with_the_decorator_to_write():
    made = registry(land_is_country)
    with pytest.raises(UpcastFailed, match=r"add @upcaster\('person.moved', version=1\)"):
        made.decode("person.moved", 1, STORED[1])


def test_a_gap_in_the_chain_is_found_when_the_application_is_built():
    with pytest.raises(ConfigurationError, match="but none from version 2"):
        registry(split_the_address).check()


def test_an_upcaster_of_an_unknown_type_is_found_when_the_application_is_built():
    @upcaster("person.mooved", version=1)
    def typo(shape):
        return shape

    with pytest.raises(ConfigurationError, match=r"person\.mooved"):
        registry(typo).check()


def test_an_upcaster_that_leads_past_the_present_version_is_found():
    @upcaster("person.moved", version=3)
    def too_far(shape):
        return shape

    with pytest.raises(ConfigurationError, match="leads past its present version 3"):
        registry(split_the_address, land_is_country, too_far).check()


def test_two_upcasters_of_one_step_are_named_with_both_places():
    @upcaster("person.moved", version=2)
    def another(shape):
        return shape

    with pytest.raises(ConfigurationError, match=r"land_is_country.*another"):
        registry(land_is_country, another)


def test_an_upcaster_that_raises_is_named_with_its_version():
    @upcaster("person.moved", version=2)
    def broken(shape):
        return shape["gone"]

    with pytest.raises(UpcastFailed, match="from version 2 raised KeyError") as failed:
        registry(broken).decode("person.moved", 2, STORED[2])
    assert (failed.value.type, failed.value.version) == ("person.moved", 2)


def test_an_upcaster_whose_result_does_not_fit_is_an_invalid_message():
    @upcaster("person.moved", version=2)
    def forgetful(shape):
        return {"person": shape["person"]}

    with pytest.raises(InvalidMessage, match="street"):
        registry(forgetful).decode("person.moved", 2, STORED[2])


def test_stored_bytes_that_are_no_json_are_an_error_of_ours():
    made = registry(split_the_address, land_is_country)
    for version in STORED:
        with pytest.raises((UpcastFailed, InvalidMessage)):
            made.decode("person.moved", version, b"\xff{")


def test_two_classes_with_one_name_are_named_with_both_places():
    class Impostor(Event, name="person.moved"):
        pass

    with pytest.raises(ConfigurationError, match=r"Moved.*test_registry.*Impostor"):
        registry().add(Impostor)


def test_adding_a_class_again_is_no_harm():
    made = registry()
    assert made.add(Moved) is made.of(Moved)


def test_an_unknown_class_or_name_is_an_error_that_says_what_is_known():
    class Stranger(Event):
        pass

    with pytest.raises(UnknownMessageType, match="Stranger"):
        registry().of(Stranger)
    with pytest.raises(UnknownMessageType, match=r"knows person\.moved"):
        registry().decode("person.moves", 1, b"{}")


def test_a_place_is_a_name_with_file_and_line():
    assert "test_registry.Moved (" in place_of(Moved)
    assert f"{__file__}:" in place_of(test_a_place_is_a_name_with_file_and_line)
    assert place_of(3)
