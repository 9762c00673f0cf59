"""What `rustk --help` costs, against `python -c "import typer"`: medians of processes run in turn.

python bench/startup.py [runs]
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "import typer": [sys.executable, "-c", "import typer"],
    "rustk --help": [sys.executable, "-m", "rustk", "--help"],
}


def seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    measured: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs + 1):
        for name, command in COMMANDS.items():
            measured[name].append(seconds(command))
    medians = {name: statistics.median(values[1:]) for name, values in measured.items()}  # the first warms the disk
    for name, value in medians.items():
        print(f"{name:14} {1000 * value:6.0f} ms (median of {runs})")
    print(f"ratio          {medians['rustk --help'] / medians['import typer']:6.2f}    (at most 2)")


if __name__ == "__main__":
    main()
