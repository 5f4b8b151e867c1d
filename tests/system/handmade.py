"""Files that the ffmpeg program does not write: odd ones, and containers that it only reads."""

import math
import struct
import subprocess

import media


def chirp(count, step=500):
    return [int(9000 * math.sin(i * step / 10000 * (1 + i / 100000))) for i in range(count)]


def wav(path, rate_hz, channels, letter="h"):
    """`channels` are lists of samples of one kind: h 16 bits, f and d floating point. Which channel is
    which it does not say."""
    width, count = struct.calcsize(letter), len(channels)
    samples = [sample for moment in zip(*channels) for sample in moment]
    data = struct.pack(f"<{len(samples)}{letter}", *samples)
    kind = 1 if letter == "h" else 3
    header = struct.pack(
        *["<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, kind, count, rate_hz],
        *[rate_hz * count * width & 0xFFFFFFFF, count * width & 0xFFFF, 8 * width, b"data", len(data)],
    )
    path.write_bytes(header + data)
    return path


def adts_frames(data):
    at = 0
    while at < len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        yield data[at : at + size]
        at += size


def adts_with_sbr(data, is_chosen):
    """Adds to the chosen packets an element that says: the upper half of the spectrum follows (nothing of
    it does), so that decoders make twice as many samples of them."""
    out = b""
    for index, frame in enumerate(adts_frames(data)):
        if not is_chosen(index):
            out += frame
            continue
        bits = "".join(f"{byte:08b}" for byte in frame[7:]).rstrip("0")
        assert bits.endswith("111")  # the end of the packet
        bits = bits[:-3] + "110" + f"{2:04b}" + f"{13:04b}" + "0" * 12 + "111"
        bits += "0" * (-len(bits) % 8)
        header, size = bytearray(frame[:7]), 7 + len(bits) // 8
        header[3] = header[3] & ~3 | size >> 11
        header[4] = size >> 3 & 255
        header[5] = header[5] & 31 | (size & 7) << 5
        out += bytes(header) + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return out


def amr():
    """Speech of one frame in 20 ms, at 12.2 kb/s; what it says are numbers."""
    frames = [bytes([0x3C]) + bytes((i * 37 + k * 11) % 256 for k in range(30)) + b"\0" for i in range(60)]
    return b"#!AMR\n" + b"".join(frames)


def dsf():
    """One bit a sample, 2.8 MHz, in blocks of 4,096 bytes for each channel in turn: hardly any sound."""
    blocks, channels = 24, 2
    data = bytes([0x69, 0x96] * 2048) * blocks * channels
    bits = blocks * 4096 * 8
    form = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 2, channels, 2822400, 1, bits, 4096, 0)
    size = 28 + 52 + 12 + len(data)
    head = struct.pack("<4sQQQ", b"DSD ", 28, size, 0)
    return head + form + struct.pack("<4sQ", b"data", 12 + len(data)) + data


def encoded(*arguments):
    command = ["ffmpeg", "-v", "error", *media.music(1.2, 48000), *arguments, "-"]
    return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout


def dtshd():
    """DTS in the file format of its own encoders."""
    data = encoded("-c:a", "dca", "-strict", "-2", "-f", "dts")
    chunks = [(b"DTSHDHDR", bytes(16)), (b"STRMDATA", data)]
    return b"".join(name + struct.pack(">Q", len(content)) + content for name, content in chunks)


def xwma():
    """What games have: WMA in a RIFF of its own kind."""
    inside = encoded("-c:a", "wmav2", "-f", "wav")
    at = inside.index(b"fmt ")
    form = inside[at + 8 : at + 8 + inside[at + 4]]
    packets = inside[inside.index(b"data") + 8 :]
    decoded = struct.pack("<I", 4 * 57600)
    chunks = [(b"fmt ", form), (b"dpds", decoded), (b"data", packets)]
    body = b"XWMA" + b"".join(name + struct.pack("<I", len(c)) + c for name, c in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def ape():
    """Monkey's Audio: frames that say they are silent."""
    frames, blocks, last = 3, 73728 // 4, 5000
    silent = struct.pack("<III", 0x80000000, 3, 0)
    first = 52 + 24 + 4 * frames
    sizes = (52, 24, 4 * frames, 0, frames * len(silent), 0, 0)
    descriptor = struct.pack("<4sHHIIIIIII16x", b"MAC ", 3990, 0, *sizes)
    header = struct.pack("<HHIIIHHI", 1000, 32, blocks, last, frames, 16, 2, 44100)
    places = struct.pack(f"<{frames}I", *[first + i * len(silent) for i in range(frames)])
    return descriptor + header + places + silent * frames


class Bits:
    """Bits, the lowest first."""

    def __init__(self):
        self.value = self.count = 0

    def add(self, value, count):
        self.value |= value << self.count
        self.count += count
        return self

    def bytes(self):
        return self.value.to_bytes(-(-self.count // 8), "little")


def with_crc24(data):
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return data + struct.pack("<I", crc)[:3]


def tak():
    """Frames of one loud sample each, and silence."""
    frames, samples = 40, 1024

    def describe(bits):
        bits.add(2, 6).add(0, 4).add(8, 4).add(frames * samples, 35).add(0, 3)  # 1,024 samples a frame
        return bits.add(44100 - 6000, 18).add(16 - 8, 5).add(0, 4).add(0, 1)

    info = with_crc24(describe(Bits()).bytes())
    out = b"tBaK" + bytes([1]) + struct.pack("<I", len(info))[:3] + info + bytes(4)
    for number in range(frames):
        head = describe(Bits().add(0xA0FF, 16).add(2, 3).add(number, 21)).add(0, 6)
        out += with_crc24(head.bytes())
        sound = Bits().add(0, 1).add(8000, 16).add(0, 2).add(0, 3).add(0, 1).add(0, 1).add(0, 6)
        out += with_crc24(sound.bytes())
    return out


def mpc7():
    """Musepack 7: frames without a single band, of 32-bit words that are read from their upper end."""
    frames = 40
    bits = "".join(f"{8:020b}" + "0" * 8 for _ in range(frames)) + "0" * 64
    bits += "0" * (-len(bits) % 32)
    # The first 8 bits of the first word belong to the header.
    words = [int(("0" * 8 + bits)[i : i + 32].ljust(32, "0"), 2) for i in range(0, len(bits), 32)]
    last = 1 << 31 | 700 << 20
    header = b"MP+\x07" + struct.pack("<IIIII", frames, 0, 0, 0, last)
    return header + struct.pack(f"<{len(words)}I", *words)


def mpc8():
    """Musepack 8: packets of a frame without a single band."""

    def packet(name, content):
        return name + bytes([3 + len(content)]) + content

    # Checksum, version, 40 frames of samples (a number in groups of seven bits), none to skip at the
    # beginning, 44.1 kHz, two channels and a frame a packet.
    number = 40 * 1152
    samples = bytes([0x80 | number >> 14, 0x80 | number >> 7 & 127, number & 127])
    header = packet(b"SH", b"\1\2\3\4" + bytes([8]) + samples + bytes([0, 0, 0x10]))
    return b"MPCK" + header + packet(b"AP", bytes(8)) * 40 + packet(b"SE", b"")


FILES = {
    "speech.amr": amr,
    "one-bit.dsf": dsf,
    "music.dtshd": dtshd,
    "music.xwma": xwma,
    "silence.ape": ape,
    "clicks.tak": tak,
    "silence.mpc": mpc7,
    "silence.mpc8": mpc8,
}
