"""The commands, as a user types them."""

import errno
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from boards.board import boards
from boards.flow.bitstream import Bitstream
from boards.flow.peers import peers_of
from boards.flow.report import Report
from systolith.cli import app, main
from systolith.cli.files import check_target
from systolith.references.onnxruntime import OnnxruntimeError
from systolith.runtime.target import RunError


def command(*words):
    """Exit status, standard output and standard error of ``systolith`` with ``words``."""
    code = "import sys; from systolith.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True,
                          text=True, timeout=300, env=None)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_run_digits():
    status, out, _ = command("run", "--count", 8, "--rows", 4, "--cols", 4)
    assert status == 0
    assert "read as" in out and "DEPTHWISE_CONV_2D" in out and "of 8 held-out digits" in out
    assert out.splitlines()[-1] == (
        f"bit-exact: 0 of {8 * 3156:,} bytes differ from TensorFlow Lite Micro")


def test_run_finds_a_difference(monkeypatch):
    """A result that is wrong by one bit does not go unseen."""
    import systolith.runtime.driver

    def results_of(graph, operator, values):
        results = systolith.graph.interpreter.results_of(graph, operator, values)
        results[operator.outputs[0]].reshape(-1)[0] ^= 1
        return results

    monkeypatch.setattr(systolith.runtime.driver, "results_of", results_of)
    result = CliRunner().invoke(app, ["run", "--count", "1", "--rows", "4", "--cols", "4"])
    assert result.exit_code == 1
    assert "\n1 of 3,156 bytes differ from TensorFlow Lite Micro" in result.output


@pytest.fixture
def matrices(tmp_path):
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-128, 128, shape, np.int8) for shape in [(5, 19), (19, 7)])
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    return tmp_path, a, b


def test_gemm(matrices):
    folder, a, b = matrices
    status, out, _ = command("gemm", folder / "a.npy", folder / "b.npy", "-o", folder / "c.npy",
                             "--rows", 3, "--cols", 4)
    assert status == 0
    assert "exact: 0 of 35 sums differ from NumPy" in out
    np.testing.assert_array_equal(np.load(folder / "c.npy"), a.astype(int) @ b.astype(int))


def test_gemm_refuses(matrices):
    folder, a, b = matrices
    np.save(folder / "float.npy", a.astype(np.float32))
    (folder / "text.npy").write_text("no array")
    target = folder / "c.npy"
    for left, right, words in [
            ("a.npy", "a.npy", "matrices must be (M, K) and (K, N), not (5, 19) and (5, 19)"),
            ("float.npy", "b.npy", "must hold a matrix of int8, not 2 axes of float32"),
            ("text.npy", "b.npy", "is not an array that numpy.save wrote"),
            ("none.npy", "b.npy", "No such file or directory")]:
        status, _, error = command("gemm", folder / left, folder / right, "-o", target)
        assert status == 1
        assert words in error
    assert not target.exists()


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder, to work in, with arrays that are none and a name that is taken."""
    monkeypatch.chdir(tmp_path)
    np.savez("several.npz", a=np.zeros(3), b=np.zeros(3))
    np.save("one.npy", np.ones((1, 1), np.int8))
    header = "{'descr': '|i1', 'fortran_order': False, 'shape': (1 << 50, 9), }"
    header = header.replace("1 << 50", str(1 << 50)).ljust(117) + "\n"
    (tmp_path / "endless.npy").write_bytes(b"\x93NUMPY\1\0\x76\0" + header.encode() + b"123")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "several.npz").read_bytes()[:100])
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("words, message", [
    ("gemm several.npz one.npy -o c.npy",
     "several.npz holds several arrays; save one with numpy.save"),
    ("gemm endless.npy one.npy -o c.npy", "endless.npy is not an array that numpy.save wrote: "),
    ("gemm cut.npz one.npy -o c.npy", "cut.npz is not an array that numpy.save wrote: "),
    ("gemm one.npy one.npy -o folder", "folder is a folder; name a file"),
    ("gemm one.npy one.npy -o none/c.npy", "none/c.npy: there is no folder none"),
    ("gemm one.npy one.npy -o c.npy --vcd folder", "folder is a folder; name a file"),
    ("gemm one.npy one.npy -o c.npy --vcd none/x.vcd", "none/x.vcd: there is no folder none"),
    ("run --vcd none/x.vcd", "none/x.vcd: there is no folder none"),
    ("run --output folder", "folder is a folder; name a file"),
    ("run --output one.npy/y.npy", "one.npy/y.npy: there is no folder one.npy"),
    ("emit array -o folder", "folder is a folder; name a file"),
    ("emit array -o one.npy/x.v", "one.npy is a file; name a folder"),
    ("build --board icebreaker -o none/top.bin", "none/top.bin: there is no folder none"),
    ("build --board icebreaker --floorplan folder", "folder is a folder; name a file"),
    ("build --board icebreaker --floorplan plan.txt",
     "plan.txt: an image is .png, .svg or .pdf, by its suffix"),
    ("build --board icebreaker --keep one.npy/kept", "one.npy is a file; name a folder"),
    ("board --vcd none/x.vcd", "none/x.vcd: there is no folder none"),
])
def test_refuses_files(words, message, hostile, monkeypatch, capsys):
    before = sorted(hostile.iterdir())
    monkeypatch.setattr(sys, "argv", ["systolith", *words.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith(f"systolith: {message}")
    assert sorted(hostile.iterdir()) == before


def test_refuses_what_may_not_be_written(tmp_path, monkeypatch):
    (tmp_path / "there").write_text("mine")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    for name, words in [("there", "there may not be written; name another file"),
                        ("new", f"nothing may be written into {tmp_path}; name another folder")]:
        with pytest.raises(ValueError, match=words):
            check_target(tmp_path / name)


def test_writes_the_very_file_that_is_named(matrices):
    folder, a, b = matrices
    status, _, _ = command("gemm", folder / "a.npy", folder / "b.npy", "-o", folder / "product",
                           "--rows", 3, "--cols", 4)
    assert status == 0
    np.testing.assert_array_equal(np.load(folder / "product"), a.astype(int) @ b.astype(int))


def test_emit(tmp_path):
    target = tmp_path / "new" / "x.v"
    status, out, _ = command("emit", "array", "--rows", 2, "--cols", 3, "--family", "ecp5", "-o",
                             target)
    assert status == 0
    text = target.read_text()
    assert "module systolith_array(" in text and "MULT18X18D" in text
    assert "// weights__payload" in text
    assert "module systolith_array," in out


def test_emit_of_a_boards_accelerator(tmp_path):
    target = tmp_path / "x.v"
    status, out, _ = command("emit", "accelerator", "--board", "icebreaker", "--bus", "wishbone",
                             "-o", target)
    assert status == 0
    text = target.read_text()
    assert "module systolith_accelerator(" in text and "SB_MAC16" in text and "// wb_ack" in text
    assert "module systolith_accelerator," in out


@pytest.mark.parametrize("words, message", [
    (["emit", "gem", "-o", "x.v"],
     ("core must be one of array, im2col, requantizer, gemm, conv2d, accelerator, not 'gem'; did "
      "you mean gemm?")),
    (["emit", "gemm", "--board", "icebreaker", "-o", "x.v"],
     "--board names a build of the accelerator, not of gemm"),
    (["emit", "accelerator", "--board", "icebreaker", "--channels", "9", "-o", "x.v"],
     "icebreaker names a build, so --channels cannot be given with it"),
    (["emit", "accelerator", "--bus", "apb", "-o", "x.v"],
     "bus must be one of axi, wishbone, not 'apb'"),
    (["emit", "array", "--rows", "0", "-o", "x.v"], "rows must be between 1 and 32, not 0"),
    (["emit", "array", "--drain-lanes", "2", "-o", "x.v"],
     "array has no drain_lanes; its options are fir_rows"),
    (["emit", "array", "--family", "xilinx", "-o", "x.v"],
     "family must be one of generic, ice40, ecp5, not 'xilinx'"),
    (["emit", "array", "--top", "a b", "-o", "x.v"],
     "'a b' cannot be the name of a module: letters, digits, underscores"),
    (["emit", "array", "--top", "module", "-o", "x.v"],
     "'module' is a word of Verilog; give --top another name"),
    (["emit", "accelerator", "--board", "ulx3s-25f", "-o", "x.v"],
     ("the weights of ulx3s-25f lie in SDRAM, for which a bus has no pins: leave out --board, or "
      f"name another: {', '.join(n for n, b in boards().items() if not b.params.sdram_bits)}")),
    (["report", "array", "--device", "up6k"],
     ("device must be one of up5k, hx8k, lfe5u-12f, lfe5u-25f, lfe5u-45f, lfe5u-85f, not 'up6k'; "
      "did you mean up5k?")),
    (["run", "/dev/null"],
     "/dev/null is neither a .tflite nor an .onnx model"),
    (["check", "/dev/null"], "/dev/null is neither a .tflite nor an .onnx model"),
    (["check", "none.tflite", "--board", "arty", "--rows", "3"],
     "arty names a build, so --rows cannot be given with it"),
    (["run", "--compare", "gpu"],
     "the runtime must be one of tflm, litert, onnxruntime, not 'gpu'"),
    (["run", "--compare", "onnxruntime"],
     "onnxruntime does not run .tflite models; leave --compare out, or give tflm"),
    (["run", "none.tflite"], "none.tflite: No such file or directory"),
])
def test_refuses(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["systolith", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == f"systolith: {message}\n"
    assert not list(tmp_path.iterdir())


def test_unexpected_errors_are_told_plainly(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["systolith", "bench", "--layers"])
    monkeypatch.setattr("systolith.cli.bench_layers.bench_layers", lambda progress: 1 / 0)
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == ("systolith: internal error (ZeroDivisionError: division by "
                                       "zero); SYSTOLITH_TRACEBACK=1 shows where\n")


@pytest.mark.parametrize("error, status, words", [
    (RunError("the accelerator stopped"), 1, "the accelerator stopped"),
    (OnnxruntimeError("onnxruntime is not installed"), 1, "onnxruntime is not installed"),
    (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
    (OSError(errno.ENOENT, "No such file or directory", "x"), 1, "x: No such file or directory"),
    (FileExistsError(errno.EEXIST, "File exists", "/dev/pts/0", None, "x"), 1, "x: File exists"),
    (OSError("cannot identify image file"), 1, "cannot identify image file"),
    (KeyboardInterrupt(), 130, "interrupted"),
])
def test_errors_are_one_plain_line(error, status, words, monkeypatch, capsys):
    def scan(*_):
        raise error

    monkeypatch.setattr(sys, "argv", ["systolith", "devices"])
    monkeypatch.setattr("systolith.runtime.discovery.scan", scan)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == status
    assert capsys.readouterr() == (
        "", f"asking each port for a board\nsystolith: {words}\n")


@pytest.mark.parametrize("words, where", [
    (["devices", "--on", "/dev/there-is-none"], ""),
    (["emit", "array", "--rows", "1", "--cols", "1", "-o", "/dev/full"], "/dev/full: "),
])
def test_full_disk(words, where):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", "from systolith.cli import main; main()",
                               *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [f"systolith: {where}No space left on device"]


TOOLS = {"pyosys": "0.70", "nextpnr-ice40": "0.12 of /usr/bin/nextpnr-ice40"}
MADE = "made with pyosys 0.70, nextpnr-ice40 0.12 of /usr/bin/nextpnr-ice40\n"


def test_build_tells_the_tools(monkeypatch):
    done = Bitstream(
        board="icebreaker", seed=1, clock_mhz=24.0, mhz=25.0, luts=1, ffs=1, dsps=1, rams=1,
        sprams=1, units={}, macs_per_cycle=16, gmacs=0.4, critical_path="a to b",
        seconds={"synthesis": 1.0, "place and route": 60.0}, netlist_hash="", tools=TOOLS,
        file="top.bin", placed="", paths={})
    monkeypatch.setattr("boards.flow.bitstream.build_bitstream", lambda *_, **__: done)
    result = CliRunner().invoke(app, ["build", "--board", "icebreaker"])
    assert result.exit_code == 0 and MADE in result.stdout
    assert "meets timing at 24.0 MHz: Fmax 25.0 MHz (seed 1)" in result.stdout


def test_report_tells_the_tools(monkeypatch):
    done = Report(
        name="array 1x1", device="up5k", part="iCE40UP5K", luts=1, total_luts=1, device_luts=5280,
        ffs=1, carries=0, dsps=1, rams=0, sprams=0, mhz_median=80.0, mhz_min=80.0, mhz_max=80.0,
        macs_per_cycle=1, gmacs=0.1, luts_per_mac=1.0, critical_path="a to b", bound_by="core",
        dsp_delays_counted=False, placements=(), synthesis_seconds=1.0, versions=TOOLS)
    monkeypatch.setattr("boards.flow.report.report", lambda *_, **__: done)
    result = CliRunner().invoke(app, ["report", "array", "--device", "up5k", "--rows", "1",
                                      "--cols", "1"])
    assert result.exit_code == 0 and MADE in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["LUTs", "1", "5,280"] in lines
    assert "Fmax 80.0 MHz, the median of 80.0 to 80.0 MHz" in result.stdout


def test_report_compares_with_cores_of_the_family():
    assert [peer.name for peer in peers_of("array", "ice40")] == ["axis-systolic-array 2x4"]
    peers = peers_of("conv2d", "ecp5")
    assert {peer.device for peer in peers} == {"lfe5u-85f"}
    fastest = max(peers, key=lambda peer: peer.gmacs)
    assert fastest.gmacs == pytest.approx(96 * 84e6 / 1e9)
    assert fastest.luts_per_mac == pytest.approx(17134 / 96)


def test_help_names_every_command():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for name in ("run", "check", "gemm", "emit", "report", "bench"):
        assert name in result.output
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
