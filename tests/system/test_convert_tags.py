"""Chapters and the cover come along."""

import json
import subprocess

import pytest

import media
from mp3 import Mp3

MP3 = ["-c:a", "libmp3lame"]


def probe(path, *wanted):
    return json.loads(
        subprocess.run(
            ["ffprobe", "-v", "error", "-of", "json", *wanted, path],
            check=True,
            capture_output=True,
        ).stdout
    )


def chapters_of(path):
    return [
        (float(c["start_time"]), float(c["end_time"]), c.get("tags", {}).get("title"))
        for c in probe(path, "-show_chapters")["chapters"]
    ]


def with_chapters(name, chapters, *arguments, seconds=4):
    text = ";FFMETADATA1\n" + "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={begin}\nEND={end}\n"
        + (f"title={title}\n" if title else "")
        for begin, end, title in chapters
    )
    path = media.folder() / f"{name}.chapters"
    path.write_text(text)
    return media.make(
        name, *media.music(seconds), "-i", path, "-map_chapters", "1", "-map", "0", *arguments
    )


THREE = [(0, 1500, "Anfang"), (1500, 2250, "Größe & Maß"), (2250, 4000, None)]


@pytest.mark.parametrize("name", ["chapters.mkv", "chapters.mp4", "chapters.m4a", "chapters.mp3"])
def test_chapters_are_carried_over(here, name):
    encoding = MP3 if name.endswith("mp3") else ["-c:a", "aac"]
    source = with_chapters(name, THREE, *encoding)
    path = here.convert(source)
    found = chapters_of(path)
    assert [(begin, end) for begin, end, _ in found] == [(0, 1.5), (1.5, 2.25), (2.25, 4)]
    assert [title for _, _, title in found][:2] == ["Anfang", "Größe & Maß"]
    assert "CTOC" in Mp3(path).tags
    # And again from what we wrote.
    (here.path / "again.mp3").write_bytes(path.read_bytes())
    assert chapters_of(here.convert(here.path / "again.mp3")) == found


@pytest.mark.parametrize("name", ["chapters.mkv", "chapters.mp4", "chapters.m4a", "chapters.mp3"])
def test_chapters_are_shifted_by_the_start_and_cut_by_the_end(here, name):
    encoding = MP3 if name.endswith("mp3") else ["-c:a", "aac"]
    source = with_chapters(name, THREE, *encoding)
    for start, end, expected in [
        ("1", "3", [(0, 0.5, "Anfang"), (0.5, 1.25, "Größe & Maß"), (1.25, 2)]),
        ("1.5", "2.25", [(0, 0.75, "Größe & Maß")]),
        ("0", "2", [(0, 1.5, "Anfang"), (1.5, 2, "Größe & Maß")]),
        ("3.25", "1000", [(0, 0.75)]),
    ]:
        found = chapters_of(here.convert(source, "--start-seconds", start, "--end-seconds", end))
        times = [chapter[:2] for chapter in found]
        assert times == [pytest.approx(chapter[:2], abs=0.0011) for chapter in expected]
        titles = [chapter[2] for chapter in expected if len(chapter) == 3]
        assert [title for _, _, title in found][: len(titles)] == titles


def test_chapters_far_behind_the_beginning_are_shifted_too(here):
    """Where what lies before the start is not read."""
    seconds = [(1000 * i, 1000 * i + 1000, f"Kapitel {i}") for i in range(75)]
    source = with_chapters("far-chapters.mkv", seconds, "-c:a", "aac", seconds=75)
    found = chapters_of(here.convert(source, "--start-seconds", "70.5", "--end-seconds", "72"))
    assert found == [(0, 0.5, "Kapitel 70"), (0.5, 1.5, "Kapitel 71")]


def late_chapters():
    """The picture is there for 0.7 s before anything is to be heard."""
    sound = with_chapters("chapters.mkv", THREE, "-c:a", "aac")
    return media.make(
        "late-chapters.mkv",
        *[*media.picture(4), "-itsoffset", "0.7", "-i", sound, "-map", "0:v", "-map", "1:a"],
        *["-map_chapters", "1", "-c:v", "mpeg4", "-c:a", "copy"],
    )


def test_chapters_count_from_where_late_sound_begins(here):
    source = late_chapters()
    whole = chapters_of(here.convert(source))
    sound_at = probe(source, "-show_streams", "-select_streams", "a")["streams"][0]["start_time"]
    begins = [float(c["start_time"]) - float(sound_at) for c in probe(source, "-show_chapters")["chapters"]]
    assert [begin for begin, _, _ in whole] == pytest.approx(
        [max(begin, 0) for begin in begins], abs=0.0011
    )
    early = chapters_of(here.convert(source, "--start-seconds", "0.1"))
    assert early == whole
    later = chapters_of(here.convert(source, "--start-seconds", "1"))
    shift = 1 - float(sound_at)
    assert [begin for begin, _, _ in later] == pytest.approx(
        [max(begin - shift, 0) for begin in begins], abs=0.0011
    )


def test_chapters_can_be_read_by_others(here):
    id3 = pytest.importorskip("mutagen.id3")
    tags = id3.ID3(here.convert(with_chapters("chapters.mkv", THREE, "-c:a", "aac")))
    (contents,) = tags.getall("CTOC")
    assert contents.child_element_ids == ["chp0", "chp1", "chp2"]
    assert contents.flags == id3.CTOCFlags.TOP_LEVEL | id3.CTOCFlags.ORDERED
    chapters = [tags[f"CHAP:{name}"] for name in contents.child_element_ids]
    assert [(c.start_time, c.end_time) for c in chapters] == [
        (0, 1500),
        (1500, 2250),
        (2250, 4000),
    ]
    assert chapters[1].sub_frames["TIT2"].text == ["Größe & Maß"]
    assert not chapters[2].sub_frames


def test_more_chapters_than_can_be_counted_end_there(here):
    many = [(10 * i, 10 * i + 10, f"Kapitel {i}") for i in range(300)]
    found = chapters_of(here.convert(with_chapters("many-chapters.mkv", many, "-c:a", "aac")))
    assert len(found) == 255
    assert found[254] == (2.54, 2.55, "Kapitel 254")


def test_chapters_before_the_part_are_not_counted(here):
    many = [(10 * i, 10 * i + 10, f"Kapitel {i}") for i in range(300)]
    source = with_chapters("many-chapters.mkv", many, "-c:a", "aac")
    found = chapters_of(here.convert(source, "--start-seconds", "2.9"))
    assert found[0] == (0, 0.01, "Kapitel 290")
    assert len(found) == 10


def test_a_chapters_title_is_cleaned(here):
    titles = [(0, 1000, "a\u202eb\u0007c"), (1000, 2000, "x" * 1000)]
    found = chapters_of(here.convert(with_chapters("odd-titles.mkv", titles, "-c:a", "aac")))
    assert [title for _, _, title in found] == ["abc", "x" * 126]


def picture_file(name, size="32x32"):
    return media.make(name, "-f", "lavfi", "-i", f"testsrc=s={size}:d=1", "-frames:v", "1")


def large_picture():
    """A whole PNG of more than 1 MiB."""
    return media.make(
        "large.png",
        *["-f", "lavfi", "-i", "nullsrc=s=900x900,geq=random(1)*255:128:128", "-frames:v", "1"],
    )


def with_picture(name, picture):
    if name.endswith("mkv"):
        kind = "image/png" if picture.suffix == ".png" else "image/jpeg"
        attach = ["-attach", picture, "-metadata:s:t", f"mimetype={kind}"]
        return media.make(name, *media.music(1), "-c:a", "aac", *attach)
    encoding = {"mp3": MP3, "flac": ["-c:a", "flac"], "m4a": ["-c:a", "aac"]}[name.split(".")[-1]]
    join = ["-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic"]
    return media.make(name, *media.music(1), "-i", picture, *join, *encoding)


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("ending", ["mkv", "m4a", "mp3", "flac"])
def test_the_cover_is_carried_over(here, ending, kind):
    picture = picture_file(f"cover.{kind}")
    path = here.convert(with_picture(f"cover-{kind}.{ending}", picture))
    (frame,) = Mp3(path).tags["APIC"]
    mime = b"image/jpeg" if kind == "jpg" else b"image/png"
    assert frame == b"\0" + mime + b"\0\3\0" + picture.read_bytes()
    streams = probe(path, "-show_streams")["streams"]
    assert [s["codec_name"] for s in streams if s["disposition"]["attached_pic"]] == [
        "mjpeg" if kind == "jpg" else "png"
    ]
    taken = ["ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-c", "copy", "-f", "image2pipe", "-"]
    assert subprocess.run(taken, capture_output=True).stdout == picture.read_bytes()


def test_others_read_the_cover(here):
    id3 = pytest.importorskip("mutagen.id3")
    picture = picture_file("cover.jpg")
    (frame,) = id3.ID3(here.convert(with_picture("cover-jpg.mkv", picture))).getall("APIC")
    assert (frame.mime, frame.type, frame.data) == (
        "image/jpeg",
        id3.PictureType.COVER_FRONT,
        picture.read_bytes(),
    )


def test_a_large_cover_is_left_out(here):
    picture = large_picture()
    assert picture.stat().st_size > 1 << 20
    assert "APIC" not in Mp3(here.convert(with_picture("large-cover.flac", picture))).tags


def test_a_cover_that_is_no_picture_is_left_out(here):
    picture = picture_file("cover.jpg").read_bytes()
    source = here.path / "spoiled.mkv"
    whole = with_picture("cover-jpg.mkv", picture_file("cover.jpg")).read_bytes()
    assert picture[:20] in whole
    source.write_bytes(whole.replace(picture[:20], b"<svg onload='x()'/> "))
    assert "APIC" not in Mp3(here.convert(source)).tags


def test_a_cover_of_almost_1_mib_goes_through(here):
    picture = here.path / "padded.jpg"
    small = picture_file("cover.jpg").read_bytes()
    picture.write_bytes(small + bytes((1 << 20) - len(small)))
    source = here.path / "padded.mkv"
    attach = ["-attach", picture, "-metadata:s:t", "mimetype=image/jpeg"]
    command = ["ffmpeg", "-v", "error", *media.music(1), "-c:a", "aac", *attach, source]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    path = here.convert(source)
    assert Mp3(path).tags["APIC"][0].endswith(picture.read_bytes())
    assert media.pcm(path, "-map", "0:a") != b""


def test_without_tags_there_are_no_chapters_and_no_cover(here):
    for source in (
        with_chapters("chapters.mkv", THREE, "-c:a", "aac"),
        with_picture("cover-jpg.mkv", picture_file("cover.jpg")),
        with_picture("cover-png.mp3", picture_file("cover.png")),
    ):
        assert Mp3(here.convert(source, "--tags", "none")).tags == {}


def test_words_at_the_ends_of_lines_stay_apart(here):
    text = "first line\nsecond line\r\n\r\nthird"
    source = media.make("lines.mkv", *media.music(1), "-metadata", f"comment={text}")
    expected = "first line second line third"
    assert probe(here.convert(source), "-show_format")["format"]["tags"]["comment"] == expected
    path = here.convert(source, "--comment", text, "--tags", "none")
    assert probe(path, "-show_format")["format"]["tags"]["comment"] == expected
