"""Tables with a header, as spreadsheets and people write them."""

import pytest

from physadv.checks import UserError
from physadv.data.csvrows import read_rows


def test_rows_by_name_with_the_lines_they_are_on(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbffile,x,\r\na.png,1,\r\n"b\nc.png",\r\n\r\nd.png,4,5,6,7\r\n')
    table = read_rows(path, "read it")
    assert table.header == ("file", "x")
    assert table.rows == (
        {"file": "a.png", "x": "1"},
        {"file": "b\nc.png", "x": ""},
        {"file": "d.png", "x": "4"},
    )
    assert table.numbers == (2, 4, 6)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "unreadable"),
        (b"\xff\xfe\x00", "not CSV text"),
        (b"a,b,a\n1,2,3\n", "two columns a"),
    ],
)
def test_what_is_no_table(tmp_path, data, said):
    path = tmp_path / "a.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=said) as told:
        read_rows(path, "read the boxes", "Give boxes.")
    assert told.value.asked == "read the boxes"


def test_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("file,x\n")
    table = read_rows(path, "read it")
    assert table.rows == ()
    table.check("read it", ("file",))
    table.check("read it", ("file",), ("file", "x", "y"))
    with pytest.raises(UserError, match="no column y, z among file, x"):
        table.check("read it", ("file", "y", "z"))
    with pytest.raises(UserError, match="a column x"):
        table.check("read it", ("file",), ("file",))
    path.write_text("")
    with pytest.raises(UserError, match="no column file among none"):
        read_rows(path, "read it").check("read it", ("file",))
