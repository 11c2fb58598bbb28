"""The page: its figures, its self-containedness, and what it says where something is missing."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_run import TARGET, toy_artwork

from physadv.artwork.files import save_artwork
from physadv.checks import UserError
from physadv.data.files import write_json
from physadv.report.html import read_history, write_report
from physadv.report.pictures import sign_picture, view_strip
from physadv.scene.faces import draw_face

VOID = {"meta", "img", "br", "use", "path"}


class Page(HTMLParser):
    """Tables as rows of cell texts, all attributes, all visible text, and unclosed tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        data = data.replace("\u00a0", " ")
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def row(self, table: int, start: str) -> list[str]:
        rows = [[" ".join(cell.split()) for cell in row] for row in self.tables[table]]
        return next(row for row in rows if start in row)


def report(run: Path, **options) -> tuple[Page, str]:
    path = write_report(run, **options)
    assert path == run / "report.html"
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    assert not page.open
    return page, source


def table_with(page: Page, header: str) -> int:
    return next(i for i, rows in enumerate(page.tables) if rows and header in " ".join(rows[0]))


def test_figures_are_those_counted_by_hand(full_run):
    page, _ = report(full_run)
    outcomes = table_with(page, "mean over cells")
    assert page.row(outcomes, "clean")[2] == "82.5 % 99/12074.7–88.3"
    artwork = page.row(outcomes, "adversarial")
    assert artwork[2].startswith("13.3 % 16/120")
    assert artwork[3] == "76.8 % 76/9967.5–84.0"
    assert artwork[4].startswith("83.8 % 83/99")
    assert artwork[5].startswith("72.3 % 3 cells")
    assert artwork[5].endswith("without † 83.5 %")
    assert page.row(outcomes, "noise")[3].startswith("2.0 % 2/99")
    assert page.row(outcomes, "blank")[3] == "0 % 0/990–3.7 [0–3.7]"
    effects = table_with(page, "Artwork minus")
    noise = page.row(effects, "noise")
    assert noise[2] == "+74.7"
    assert noise[5] == "75 / 1"
    assert noise[6] == "< 0.001"


def test_table_of_cells(full_run):
    page, _ = report(full_run)
    cells = page.tables[table_with(page, "jittered crop")]
    rows = [[" ".join(cell.split()) for cell in row] for row in cells]
    assert [row[:2] for row in rows[1:]] == [["2 m", "0°"], ["4 m", "0°"], ["4 m", "† −30°"]]
    assert rows[1][2].startswith("100 % 40/40")
    assert [row[5].split()[2].split("/")[0] for row in rows[1:]] == ["36", "30", "10"]
    assert [row[7].split()[2].split("/")[0] for row in rows[1:]] == ["30", "24", "4"]


def test_headline_manifest_and_sections(full_run):
    page, source = report(full_run)
    assert f"reads Stop as {TARGET} in 76 of 99 simulated views (76.8 %" in page.text
    assert "against 2.0 % with a noise print" in page.text
    assert "physadv generate stop_sign --victim toy-cnn --seed 7" in page.text
    assert "ab" * 32 in page.text
    assert toy_artwork().sha256 in page.text
    assert "18.9 % of the face" in page.text
    assert "log-uniform, 1.5 to 12.2" in page.text
    assert "cut at −45 and 45; 50 % of views uniform, −65 to 65" in page.text
    assert "sensor noise, sd 0.05 0.02" in page.text
    assert "generate 61.5" in page.text
    assert "not photographed" in page.text
    assert 'class="missing"' not in source
    assert source.count("<svg ") == 5
    heat = [text for text in re.findall(r">(\d+/\d+)</text>", source)]
    assert heat == ["40/40", "20/40", "39/40", "2/40", "0/20", "0/39", "36/40", "10/20", "30/39"]


def test_photographs(full_run):
    page, source = report(full_run)
    assert "First 12 of 14 photographs" in page.text
    photos = page.tables[table_with(page, "Photograph")]
    assert len(photos) == 1 + 14
    assert [" ".join(cell.split()) for cell in photos[1]] == [
        *("sign_00.jpg", "toy-cnn", "Stop 80.0 %", "—", "—", "Stop 80.0 %")
    ]
    assert " ".join(photos[3][5].split()) == f"{TARGET} 80.0 %"
    assert "85.7 % 12/14" in page.text
    assert source.count('alt="sign_') == 24


def test_five_distances_and_one_angle(full_run):
    strip = view_strip(full_run / "views")
    assert strip.columns[:5] == ((1.0, 0.0), (3.0, 0.0), (4.0, 0.0), (5.0, 0.0), (7.0, 0.0))
    assert strip.columns[5:] == ((1.0, 30.0),)
    assert [name for name, _ in strip.rows] == ["clean", "noise", "adversarial"]
    assert [view.score for view in strip.rows[2][1]] == pytest.approx(
        [0.51, 0.53, 0.54, 0.55, 0.57, 0.51]
    )
    view = strip.rows[0][1][0]
    assert (view.frame.width_px, view.frame.height_px) == (400, 300)
    assert (view.crop.width_px, view.crop.height_px) == (32, 32)
    page, _ = report(full_run)
    assert sum(name == "class" and value == "frame" for _, name, value in page.attributes) == 18


@pytest.mark.parametrize("state", ["full", "bare"])
def test_self_contained(state, request):
    page, source = report(request.getfixturevalue(f"{state}_run"), face=draw_face("us_r1_1", 64))
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert value.startswith(("data:image/", "#")), (tag, name, value[:80])
        assert not name.startswith("on")
    assert "@import" not in source
    assert all(part.startswith(("#", "'#")) for part in re.findall(r"url\(([^)]*)", source))
    assert "color-scheme: light" in source
    assert "@media print" in source


def test_names_are_escaped(make_run):
    target, victim = "<script>alert('x')</script>", "_odd$x$ & <b>"
    page, source = report(make_run(target, victim))
    assert "script" not in page.tags
    assert "<script" not in source
    assert victim not in source
    assert target in page.text
    assert victim in page.text


def test_missing_parts_name_their_commands(bare_run):
    page, source = report(bare_run)
    assert source.count('class="missing"') == 7
    command = f"physadv evaluate grid '{bare_run}' --scene stop_sign --victim toy-cnn"
    assert command in page.text
    assert f"physadv evaluate photos '{bare_run}' FOLDER" in page.text
    assert f"physadv print '{bare_run}'" in page.text
    assert "no independent judge has looked at it yet" in page.text
    assert "run.json is missing" in page.text


def test_the_sign_is_shown_where_its_face_is_given(bare_run):
    face = draw_face("us_r1_1", 128)
    _, without = report(bare_run)
    _, with_face = report(bare_run, face=face)
    assert "On the sign" not in without
    assert "On the sign" in with_face
    uri = sign_picture(toy_artwork(), face).uri
    assert uri in with_face
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (512, 512, 3)
    assert tuple(pixels[4 * 16 + 1, 6 * 16 + 1]) == (20, 30, 200)
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert tuple(pixels[300, 40]) == pytest.approx((176, 28, 46), abs=3)


def test_trials_of_another_artwork_are_pointed_out(full_run):
    page, _ = report(full_run)
    assert "another artwork" not in page.text
    changed = toy_artwork()
    changed.rgba[20:24, 10:14] = 255
    save_artwork(changed, full_run)
    page, _ = report(full_run)
    assert "Some trials are of another artwork" in page.text


def test_simulated_figures_of_artwork_for_a_printer_are_not_passed_off_as_prints(full_run):
    _, plain = report(full_run)
    assert "not those of prints" not in plain
    manifest = json.loads((full_run / "run.json").read_text())
    weights = [[[0.123456, 0.5, 0.5]]]
    profile = {"kind": "polynomial", "delta_e": 1.5, "residual_sd": [0.01] * 3, "weights": weights}
    manifest["options"] = {**(manifest.get("options") or {}), "printer": profile}
    (full_run / "run.json").write_text(json.dumps(manifest))
    page, _ = report(full_run)
    assert "made for a measured printer" in page.text
    assert "not those of prints" in page.text
    assert "polynomial" in page.text
    assert "0.123456" not in page.text


def test_errors(tmp_path, full_run):
    with pytest.raises(UserError, match="no such run folder"):
        write_report(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"artwork\.png, artwork\.json missing"):
        write_report(tmp_path / "empty")
    before = write_report(full_run).read_bytes()
    write_json(full_run / "views" / "views.json", [{"file": "frame.png"}])
    with pytest.raises(UserError, match=r"views\.json"):
        write_report(full_run)
    assert (full_run / "report.html").read_bytes() == before


def test_pictures_stay_inside_the_run(full_run):
    path = full_run / "gallery" / "gallery.json"
    entries = json.loads(path.read_text())
    Image.new("RGB", (4, 4)).save(full_run / "secret.png")
    entries[0]["file"] = "../secret.png"
    write_json(path, entries)
    with pytest.raises(UserError, match="lies outside"):
        write_report(full_run)


def test_history_survives_a_crash_but_not_a_hole(tmp_path):
    path = tmp_path / "history.jsonl"
    assert read_history(path) == []
    path.write_text('{"step": 1}\n{"step": 2}\n{"ste')
    assert [line["step"] for line in read_history(path)] == [1, 2]
    path.write_text('{"step": 1}\nnonsense\n{"step": 3}\n')
    with pytest.raises(UserError, match="line 2"):
        read_history(path)


def test_a_report_is_the_same_twice(full_run):
    first = write_report(full_run).read_bytes()
    assert write_report(full_run).read_bytes() == first
