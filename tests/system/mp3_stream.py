"""An MP3's frames, read as the standards define them and held to what they demand, so that what the
engine writes is not judged by the engine: ISO/IEC 11172-3 §2.4.1 and §2.4.2 (MPEG-1), 13818-3 §2.4.1
and §2.4.2 (MPEG-2, and MPEG-2.5 with half its rates).

A frame is a header, side information and a slot. The slots of all frames are one row of bytes, the
reservoir, in which a frame's main data begin main_data_begin bytes in front of its own slot."""

import dataclasses

from mp3 import BITRATES_KBPS, SAMPLE_RATES_HZ

MODE_MONO, VERSION_1, LAYER_III = 3, 3, 1


@dataclasses.dataclass(frozen=True)
class Layout:
    """Of the side information, in bits."""

    begin_bits: int  # main_data_begin
    size: int  # of all of it, in bytes
    granules: list  # where each granule of each channel begins
    granule_bits: int
    compress_bits: int  # scalefac_compress


def layout_of(is_version_1, channels):
    begin_bits = 9 if is_version_1 else 8
    private_bits = {(True, 1): 5, (True, 2): 3, (False, 1): 1, (False, 2): 2}[is_version_1, channels]
    granules, granule_bits, shared_bits = (2, 59, 4) if is_version_1 else (1, 63, 0)
    first = begin_bits + private_bits + shared_bits * channels
    starts = [first + i * granule_bits for i in range(granules * channels)]
    return Layout(begin_bits, (starts[-1] + granule_bits) // 8, starts, granule_bits, 4 if is_version_1 else 9)


LAYOUTS = {(version, channels): layout_of(version, channels) for version in (True, False) for channels in (1, 2)}


@dataclasses.dataclass(slots=True)
class Frame:
    at: int
    size: int
    kind: tuple  # version, rate, channels: the same in all frames
    kbps: int
    layout: Layout
    side_info: int
    slot_at: int  # in the reservoir
    slot_size: int
    main_data_begin: int
    main_data_bits: int

    @property
    def samples(self):
        return 1152 if self.kind[0] == VERSION_1 else 576

    @property
    def main_data_at(self):
        return self.slot_at - self.main_data_begin

    @property
    def main_data_end(self):
        return self.main_data_at + (self.main_data_bits + 7) // 8

    @property
    def slot_end(self):
        return self.slot_at + self.slot_size


def bits(value, size_bits, at, count):
    return value >> (size_bits - at - count) & ((1 << count) - 1)


class Stream:
    """`faults` says all that is wrong with it; a stream that ends in the middle of nowhere has the
    frames before."""

    def __init__(self, data):
        self.data = data
        self.frames = []
        self.faults = []
        self.reservoir = bytearray()
        at = 0
        while at < len(data):
            frame = self.read(at)
            if frame is None:
                break
            self.judge(frame)
            self.frames.append(frame)
            self.reservoir += data[at + frame.size - frame.slot_size : at + frame.size]
            at += frame.size

    def fault(self, what):
        self.faults.append(f"frame {len(self.frames)}: {what}")

    def read(self, at):
        head = self.data[at : at + 4]
        if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
            return self.fault("does not begin with a header")
        version, layer, has_no_crc = head[1] >> 3 & 3, head[1] >> 1 & 3, head[1] & 1
        rate_index, bitrate_index, mode = head[2] >> 2 & 3, head[2] >> 4, head[3] >> 6
        if version == 1 or layer != LAYER_III or rate_index == 3 or bitrate_index in (0, 15):
            return self.fault("a header of no layer III frame, or of free format")
        if not has_no_crc:
            return self.fault("a checksum, which is not looked at here")
        channels, is_version_1 = 1 if mode == MODE_MONO else 2, version == VERSION_1
        kbps = BITRATES_KBPS[1 if is_version_1 else 2][bitrate_index]
        rate_hz = SAMPLE_RATES_HZ[version][rate_index]
        size = (144 if is_version_1 else 72) * kbps * 1000 // rate_hz + (head[2] >> 1 & 1)
        layout = LAYOUTS[is_version_1, channels]
        if at + size > len(self.data) or 4 + layout.size > size:
            return self.fault("cut, or without room for its side information")
        side_info = int.from_bytes(self.data[at + 4 : at + 4 + layout.size], "big")
        side_bits = layout.size * 8
        return Frame(
            at, size, (version, rate_hz, channels), kbps, layout, side_info, len(self.reservoir),
            size - 4 - layout.size, side_info >> (side_bits - layout.begin_bits),
            sum(side_info >> (side_bits - start - 12) & 0xFFF for start in layout.granules),
        )

    def judge(self, frame):
        before = self.frames[-1] if self.frames else None
        if before is not None and frame.kind != before.kind:
            self.fault(f"is {frame.kind} after {before.kind}")
        if frame.main_data_at < 0:
            self.fault(f"main_data_begin is {frame.main_data_begin}, the reservoir holds {frame.slot_at}")
        elif before is not None and frame.main_data_at < before.main_data_end:
            self.fault(f"main data begin {before.main_data_end - frame.main_data_at} bytes before others end")
        if frame.main_data_end > frame.slot_end:
            self.fault(f"main data end {frame.main_data_end - frame.slot_end} bytes behind their slot")
        for start in frame.layout.granules:
            self.judge_granule(frame, start)

    def judge_granule(self, frame, start):
        layout = frame.layout
        granule = bits(frame.side_info, layout.size * 8, start, layout.granule_bits)
        big_values = granule >> (layout.granule_bits - 21) & 0x1FF
        windows = granule >> (layout.granule_bits - 30 - layout.compress_bits - 22) & 0x7FFFFF
        is_switched = windows >> 22
        if is_switched:
            tables = [windows >> 14 & 31, windows >> 9 & 31]
            if windows >> 20 & 3 == 0:
                self.fault("a switched window of the ordinary kind")
        else:
            tables = [windows >> 17 & 31, windows >> 12 & 31, windows >> 7 & 31]
        if big_values > 288:
            self.fault(f"{big_values} pairs of big values")
        if big_values > 0 and any(table in (4, 14) for table in tables):
            self.fault("a Huffman table that there is not")

    def content(self, index):
        """What a frame says of the sound: without its place, its size and filler."""
        frame = self.frames[index]
        main_data = self.reservoir[max(frame.main_data_at, 0) : frame.main_data_end]
        rest = frame.main_data_bits % 8
        if rest != 0:
            main_data[-1] &= 0xFF00 >> rest & 0xFF
        begin_at = frame.layout.size * 8 - frame.layout.begin_bits
        side_info = frame.side_info & ((1 << begin_at) - 1)
        return frame.kind, self.data[frame.at + 3], side_info, bytes(main_data)


def tables_mask(frame):
    """The bits of the side information that name Huffman tables."""
    mask, size_bits = 0, frame.layout.size * 8
    for start in frame.layout.granules:
        flag_at = start + 29 + frame.layout.compress_bits
        is_switched = bits(frame.side_info, size_bits, flag_at, 1)
        at, count = (flag_at + 4, 10) if is_switched else (flag_at + 1, 15)
        mask |= ((1 << count) - 1) << (size_bits - at - count)
    return mask


def with_main_data_begin(data, frame, begin):
    """The stream with that frame's main_data_begin changed."""
    at, size = frame.at + 4, frame.layout.size
    begin_at = size * 8 - frame.layout.begin_bits
    side_info = frame.side_info & ((1 << begin_at) - 1) | begin << begin_at
    return data[:at] + side_info.to_bytes(size, "big") + data[at + size :]
