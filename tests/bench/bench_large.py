"""A video of 2 GiB and 35 minutes through all services: peak memory of every process."""

import pathlib
import tempfile
import threading
import time

from bench import ROOT, System, peak_mib, sample, table

SIZE_BYTES = 2 << 30
LENGTH_SECONDS = 35 * 60


def make_video(folder):
    """Real video and sound, the picture's bit rate chosen for the size: one minute, then looped."""
    rate = int(SIZE_BYTES * 8 / LENGTH_SECONDS * 1.01) - 128_000
    minute = sample(
        folder / "minute.mp4", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=60",
        "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=60",
        "-c:v", "mpeg2video", "-b:v", rate, "-minrate", rate, "-maxrate", rate,
        "-bufsize", rate, "-c:a", "aac", "-b:a", "128k", "-ac", "2",
    )
    return sample(folder / "video.mp4", "-stream_loop", 34, "-i", minute, "-c", "copy")


class Watch(threading.Thread):
    """Notes the peak of each process, short-lived workers too."""

    def __init__(self, system):
        super().__init__(daemon=True)
        self.system = system
        self.peaks = {}
        self.is_over = False

    def note(self, name, pid):
        try:
            self.peaks[name] = max(self.peaks.get(name, 0), peak_mib(pid))
        except (FileNotFoundError, ProcessLookupError):
            pass

    def run(self):
        while not self.is_over:
            for service in self.system.services:
                self.note(service.name, service.process.pid)
            for pid in self.system.converter.worker_pids():
                self.note("tapedeck-worker", pid)
            time.sleep(0.1)


def main():
    with tempfile.TemporaryDirectory(dir=ROOT) as folder, System() as system:
        video = make_video(pathlib.Path(folder))
        assert video.stat().st_size >= SIZE_BYTES, video.stat().st_size
        watch = Watch(system)
        watch.start()
        start = time.monotonic()
        with open(video, "rb") as stream:
            answer = system.anna.upload(stream, "?name=video.mp4")
        uploaded = time.monotonic() - start
        shown = system.wait_until_ended(answer.json()["id"], interval=0.2)
        took = time.monotonic() - start
        watch.is_over = True
        watch.join()
        assert shown["state"] == "done", shown
        print(f"  {video.stat().st_size / (1 << 30):.2f} GiB, "
              f"{shown['mp3']['duration_seconds'] / 60:.1f} minutes: uploaded in {uploaded:.1f} s, "
              f"done after {took:.1f} s")
        table([("process", "peak, MiB"),
               *((name, f"{peak:.1f}") for name, peak in sorted(watch.peaks.items()))])


main()
