"""What an MP3 file is made of: ID3 tag, Info frame, frames."""

import dataclasses
import struct

BITRATES_KBPS = {
    1: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
}
SAMPLE_RATES_HZ = {3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000]}


def frame_at(data, at):
    """(size, bitrate, rate, channels) of the layer III frame there."""
    first, second, third = data[at + 1], data[at + 2], data[at + 3]
    assert data[at] == 0xFF and first & 0xE6 == 0xE2, f"no frame at {at}"
    version = first >> 3 & 3
    kbps = BITRATES_KBPS[1 if version == 3 else 2][second >> 4]
    rate = SAMPLE_RATES_HZ[version][second >> 2 & 3]
    size = (144 if version == 3 else 72) * kbps * 1000 // rate + (second >> 1 & 1)
    return size, kbps, rate, 1 if third >> 6 == 3 else 2


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


@dataclasses.dataclass
class Info:
    kind: bytes  # Info or Xing
    frames: int
    size: int
    toc: bytes
    encoder: bytes
    method: int
    lowpass_hz: int
    delay: int
    padding: int
    music_size: int
    music_crc: int
    is_crc_right: bool


class Mp3:
    def __init__(self, path):
        data = path.read_bytes()
        self.tags, at = read_id3(data)
        self.info_at = at
        size, _, self.rate_hz, self.channels = frame_at(data, at)
        self.info = read_info(data[at : at + size])
        at += size
        self.music = data[at:]
        self.bitrates_kbps = []
        while at < len(data):
            size, kbps, rate, channels = frame_at(data, at)
            assert (rate, channels) == (self.rate_hz, self.channels)
            self.bitrates_kbps.append(kbps)
            at += size
        assert at == len(data), "the last frame is cut"

    @property
    def samples(self):
        """Per channel, as a gapless player plays it."""
        frame = 1152 if self.rate_hz >= 32000 else 576
        return len(self.bitrates_kbps) * frame - self.info.delay - self.info.padding


def read_id3(data):
    if data[:3] != b"ID3":
        return {}, 0
    assert data[3:6] == b"\4\0\0"
    end = 10 + synchsafe(data[6:10])
    tags, at = {}, 10
    while at < end and data[at] != 0:  # zeros: padding, as ffmpeg writes it
        name, size = data[at : at + 4].decode(), synchsafe(data[at + 4 : at + 8])
        content = data[at + 10 : at + 10 + size]
        if name in ("CHAP", "CTOC", "APIC"):
            tags.setdefault(name, []).append(content)
        else:
            assert content[0] == 3, "not UTF-8"
            tags[name] = content[5 if name == "COMM" else 1 :].decode()
        at += 10 + size
    assert not any(data[at:end])
    return tags, end


def synchsafe(data):
    return data[0] << 21 | data[1] << 14 | data[2] << 7 | data[3]


def read_info(frame):
    is_mono, is_first = frame[3] >> 6 == 3, frame[1] >> 3 & 3 == 3
    tag_at = 4 + ({True: 17, False: 32} if is_first else {True: 9, False: 17})[is_mono]
    tag = frame[tag_at:]
    flags, frames, size = struct.unpack(">III", tag[4:16])
    assert flags == 15
    lame = tag[120:156]
    delays = int.from_bytes(lame[21:24], "big")
    return Info(
        kind=tag[:4],
        frames=frames,
        size=size,
        toc=tag[16:116],
        encoder=lame[:9],
        method=lame[9] & 15,
        lowpass_hz=lame[10] * 100,
        delay=delays >> 12,
        padding=delays & 0xFFF,
        music_size=int.from_bytes(lame[28:32], "big"),
        music_crc=int.from_bytes(lame[32:34], "big"),
        is_crc_right=int.from_bytes(lame[34:36], "big") == crc16(frame[: tag_at + 154]),
    )
