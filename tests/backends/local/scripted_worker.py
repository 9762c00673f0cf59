"""A worker that speaks the protocol of `python -m rustk.training serve` and does to each fold what a script tells.

argv[1]: a directory with a file `<trial>-<fold>` of lines, one a try: ok, diverge, crash, kill, garbage, hang, forget
(say done, but write no history), or an exit code to report. A fold without a file is ok. Each try leaves a line in
`tries`, and on stderr. argv[2], if given: the directory of a run, in which a fold that is done leaves a history.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    script = Path(sys.argv[1])
    if (script / "broken").exists():
        sys.stderr.write("rustk: TensorFlow is not installed: pip install 'rustk[train]'\n")
        sys.exit(78)
    say(event="ready")
    for line in sys.stdin:
        task = json.loads(line)
        trial, fold = task["trial"], task["fold"]
        path = script / f"{trial}-{fold}"
        with (script / "tries").open("a") as tries:
            tries.write(f"{trial}-{fold}\n")
        count = (script / "tries").read_text().splitlines().count(f"{trial}-{fold}")
        acts = path.read_text().split() if path.exists() else ["ok"]
        act = acts[min(count, len(acts)) - 1]
        sys.stderr.write(f"at {trial}-{fold} with endpoint {os.environ.get('RUSTK_S3_ENDPOINT_URL')}\n")
        sys.stderr.flush()
        say(event="epoch", trial=trial, fold=fold, epoch=1, epochs=1, val_auroc=0.5, loss=1.0)
        if act == "crash":
            sys.stderr.write("noise\nlast words\n")
            sys.exit(3)
        if act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if act == "hang":
            time.sleep(60)
        if act == "garbage":
            sys.stdout.write("a library printed this\n")
        if act.isdigit():
            say(event="failed", trial=trial, fold=fold, exit_code=int(act), message=f"reason {act}")
        else:
            if len(sys.argv) > 2 and act != "forget":
                history = Path(sys.argv[2], "histories", f"trial={trial:04d}", f"fold={fold}.parquet")
                history.parent.mkdir(parents=True, exist_ok=True)
                history.write_bytes(b"history")
            outcome = "diverged" if act == "diverge" else "completed"
            say(event="done", trial=trial, fold=fold, outcome=outcome, diverged_epoch=1 if act == "diverge" else None)


main()
