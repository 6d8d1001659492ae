import shlex
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["example"]

#: What to do with the files, in the folder that they are in.
NEXT = """\
systolith run digits.tflite --input digits.npy --board icebreaker
systolith quantize digits.onnx --calibrate calibration.npz -o digits.int8.onnx
systolith evaluate digits.int8.onnx --data test.npz --float digits.onnx
systolith run digits.int8.onnx --input test.npz --board ulx3s-25f"""


def example(
    folder: Annotated[Path, typer.Argument(
        metavar="FOLDER", help="Where to write them; it is made if it is not there.")] = Path(
            "systolith-example"),
) -> None:
    """Write an int8 network, a float one to be quantised, and inputs for them, and say what to do
    with these.
    """
    from systolith.cli.files import check_folder, writing
    from systolith.cli.show import console
    from systolith.zoo.example import FILES, write_example

    check_folder(folder)
    with writing(folder):
        write_example(folder)
    for name, what in FILES.items():
        console.print(f"{folder / name}: {what}")
    console.print("next:")
    if folder.resolve() != Path.cwd():
        console.print(f"  cd {shlex.quote(str(folder))}")
    for line in NEXT.splitlines():
        console.print(f"  {line}")
