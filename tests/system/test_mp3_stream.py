"""What reads an MP3 by the standards for other tests accepts what is right and refuses what is not."""

import subprocess

import pytest

from mp3_stream import Stream, tables_mask, with_main_data_begin

KINDS = {
    "44.1 kHz stereo, variable": ["-ar", "44100", "-ac", "2", "-q:a", "2"],
    "48 kHz mono, 64 kb/s": ["-ar", "48000", "-ac", "1", "-b:a", "64k"],
    "22.05 kHz stereo, 48 kb/s": ["-ar", "22050", "-ac", "2", "-b:a", "48k"],
    "8 kHz mono, variable": ["-ar", "8000", "-ac", "1", "-q:a", "0"],
}
SOUND = "0.3*sin(440*2*PI*t)+0.4*(2*random({0})-1)*gt(mod(t\\,0.7)\\,0.4)"
SOUND = f"aevalsrc={SOUND.format(0)}|{SOUND.format(1)}:s=48000:d=9"


@pytest.fixture(scope="module", params=KINDS)
def stream(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "sound.mp3"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", SOUND, *KINDS[request.param], "-c:a", "libmp3lame",
         "-write_id3v2", "0", "-id3v2_version", "0", "-write_xing", "0", path], check=True, stdin=subprocess.DEVNULL,
    )
    return Stream(path.read_bytes())


def find(stream, is_wanted):
    """The number of a frame in the middle for which that is so, given it and the one before it."""
    for index in range(50, len(stream.frames) - 1):
        if is_wanted(stream.frames[index], stream.frames[index - 1]):
            return index
    raise AssertionError("no such frame was made")


def borrower(stream):
    return find(stream, lambda frame, _: frame.main_data_begin > 1 and frame.main_data_bits > 16)


def test_what_lame_writes_is_right(stream):
    assert stream.faults == []
    assert len(stream.frames) > 100
    assert sum(frame.size for frame in stream.frames) == len(stream.data)


def test_main_data_that_begin_before_the_first_slot_are_found(stream):
    broken = Stream(with_main_data_begin(stream.data, stream.frames[0], 1))
    assert broken.faults[0] == "frame 0: main_data_begin is 1, the reservoir holds 0"


def test_main_data_in_those_of_another_frame_are_found(stream):
    def is_near(frame, before):
        return before.main_data_bits > 8 and frame.slot_at - before.main_data_end < (1 << frame.layout.begin_bits) - 1

    index = find(stream, is_near)
    before, frame = stream.frames[index - 1 : index + 1]
    broken = Stream(with_main_data_begin(stream.data, frame, frame.slot_at - before.main_data_end + 1))
    assert f"frame {index}: main data begin 1 bytes before others end" in broken.faults


def test_main_data_that_end_behind_their_slot_are_found(stream):
    index = find(stream, lambda frame, _: frame.main_data_begin > frame.slot_end - frame.main_data_end)
    frame = stream.frames[index]
    spare = frame.slot_end - frame.main_data_end
    broken = Stream(with_main_data_begin(stream.data, frame, frame.main_data_begin - spare - 1))
    assert f"frame {index}: main data end 1 bytes behind their slot" in broken.faults


def test_a_frame_that_is_left_out_is_found_where_the_next_one_needs_it(stream):
    def is_needed(frame, before):
        later = stream.frames[stream.frames.index(frame) + 1]
        return later.main_data_begin > before.slot_end - before.main_data_end

    frame = stream.frames[find(stream, is_needed)]
    assert Stream(stream.data[: frame.at] + stream.data[frame.at + frame.size :]).faults


def test_bytes_between_frames_and_a_cut_frame_are_found(stream):
    frame = stream.frames[50]
    assert Stream(stream.data[: frame.at] + b"\0" + stream.data[frame.at :]).faults[0].startswith("frame 50: does")
    assert Stream(stream.data[:-1]).faults == [
        f"frame {len(stream.frames) - 1}: cut, or without room for its side information"]


def test_another_rate_in_the_middle_is_found(stream):
    frame = stream.frames[50]
    data = bytearray(stream.data)
    data[frame.at + 2] ^= 8 if data[frame.at + 2] & 8 else 4
    assert "after" in Stream(bytes(data)).faults[0]


def test_a_huffman_table_that_there_is_not_is_found(stream):
    for frame in stream.frames[50:]:
        start = frame.layout.granules[0]
        table_at = start + 30 + frame.layout.compress_bits
        flag_at = table_at - 1
        is_switched = frame.side_info >> (frame.layout.size * 8 - flag_at - 1) & 1
        has_values = frame.side_info >> (frame.layout.size * 8 - start - 21) & 0x1FF
        if has_values and not is_switched:
            break
    shift = frame.layout.size * 8 - table_at - 5
    side_info = frame.side_info & ~(31 << shift) | 14 << shift
    at = frame.at + 4
    data = stream.data[:at] + side_info.to_bytes(frame.layout.size, "big") + stream.data[at + frame.layout.size :]
    assert Stream(data).faults == [f"frame {stream.frames.index(frame)}: a Huffman table that there is not"]
    assert (frame.side_info ^ side_info) & ~tables_mask(frame) == 0
    assert (frame.side_info ^ frame.side_info + (1 << shift + 5)) & ~tables_mask(frame) != 0


def test_content_does_not_depend_on_where_it_lies(stream):
    index = borrower(stream)
    frame = stream.frames[index]
    later = Stream(stream.data[stream.frames[20].at :])
    assert later.content(index - 20) == stream.content(index)
    changed = bytearray(stream.reservoir)
    changed[frame.main_data_at + 1] ^= 1
    other = Stream(stream.data)
    other.reservoir = changed
    assert other.content(index) != stream.content(index)
