"""From the end of an upload to `done`, beside the conversion alone, for a clip of ten seconds."""

import pathlib
import subprocess
import tempfile
import time

from bench import ROOT, System, median, sample, spread, table

ROUNDS = 11


def main():
    with tempfile.TemporaryDirectory() as folder, System() as system:
        folder = pathlib.Path(folder)
        clip = sample(folder / "clip.mp4", "-f", "lavfi", "-i", "color=c=blue:s=320x240:r=25:d=10",
                      "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=10",
                      "-c:a", "aac", "-ac", "2", "-shortest")
        content = clip.read_bytes()
        times = {"upload's end to done": [], "tapedeck convert, whole process": []}
        for _ in range(ROUNDS):
            conversion = system.anna.upload(content, "?name=clip.mp4&notify=none").json()["id"]
            start = time.monotonic()
            shown = system.wait_until_ended(conversion)
            times["upload's end to done"].append((time.monotonic() - start) * 1000)
            assert shown["state"] == "done", shown
            start = time.monotonic()
            subprocess.run([ROOT / "build-release" / "tapedeck", "convert", "--quiet", "--force",
                            clip, folder / "clip.mp3"], check=True)
            times["tapedeck convert, whole process"].append((time.monotonic() - start) * 1000)
        rows = [(f"median of {ROUNDS}, interleaved", "ms", "min to max")]
        for name, values in times.items():
            rows.append((name, f"{median(values):.0f}", spread(values)))
        table(rows)
        service, alone = (median(values) for values in times.values())
        print(f"  the service adds {service - alone:.0f} ms")


main()
