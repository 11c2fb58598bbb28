"""The public interface is exactly this list, every name works and says what it does."""

import inspect

import physadv

PUBLIC = {
    "Artwork",
    "Recipe",
    "Settings",
    "Trial",
    "UserError",
    "evaluate_grid",
    "evaluate_photos",
    "generate",
    "list_victims",
    "load_artwork",
    "load_grid",
    "load_scene",
    "load_trials",
    "load_victim",
    "save_artwork",
    "save_trials",
    "summarise",
    "write_pdf",
    "write_report",
    "write_views",
}


def test_inventory():
    assert set(physadv.__all__) == PUBLIC
    assert list(physadv.__all__) == sorted(physadv.__all__)


def test_every_name_loads_and_is_documented():
    for name in physadv.__all__:
        thing = getattr(physadv, name)
        assert thing.__name__ == name
        assert inspect.getdoc(thing), name
        if inspect.isfunction(thing):
            hints = inspect.signature(thing)
            assert hints.return_annotation is not inspect.Signature.empty, name


def test_unknown_name_is_an_attribute_error():
    assert not hasattr(physadv, "no_such_thing")
