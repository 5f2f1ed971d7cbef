"""tritonserver and its Python backend. Texts are those of tritonserver 2.51."""

from __future__ import annotations

from trident.doctor.signatures.signature import Signature, signature

SIGNATURES: tuple[Signature, ...] = (
    signature(
        "triton.port",
        r"failed to start (?P<door>\w+) service: Unavailable - Socket '[^']*:(?P<port>\d+)' already in use",
        "Port {port} for Triton's {door} is taken",
        "see who has it: ss -ltnp 'sport = :{port}'; stop that, or choose another port (--http-port, --grpc-port, …)",
    ),
    signature(
        "triton.platform",
        r"unexpected platform type '(?P<platform>[^']+)' for (?P<model>[^\s\"]+)",
        "config.pbtxt of {model} names a platform that Triton does not know",
        'replace platform: "{platform}" by backend: "{platform}" in its config.pbtxt',
    ),
    signature(
        "triton.config_text",
        r"Error parsing text-format inference\.ModelConfig: (?P<line_number>\d+):(?P<column>\d+): (?P<problem>.*)",
        "A config.pbtxt cannot be parsed",
        "correct line {line_number}, column {column} of the config.pbtxt that the next line of the log names",
        "{problem}",
    ),
    signature(
        "triton.model_name",
        r"unexpected directory name '(?P<folder>[^']+)' for model '(?P<model>[^']+)'",
        "A model's folder is called otherwise than its config.pbtxt says",
        "rename the folder {folder} to {model}, or change name in its config.pbtxt",
    ),
    signature(
        "triton.no_backend_named",
        r"Could not determine backend for model '(?P<model>[^']+)'",
        "The folder {model} of the repository holds no model",
        'add a config.pbtxt with backend: "python" (or "vllm") to it, or move the folder away',
    ),
    signature(
        "triton.backend_missing",
        r"unable to find backend library for backend '(?P<backend>[^' ]+)'",
        "Triton has no backend called {backend}",
        "correct backend in config.pbtxt; Trident's tritonserver has python and vllm",
    ),
    signature(
        "triton.repository_missing",
        r"creating server: Internal - failed to stat file (?P<folder>\S+)",
        "The model repository {folder} is not there",
        "give an existing folder: --model-repository DIR",
    ),
    signature(
        "triton.model_py_missing",
        r"Python model file not found in '(?P<file>[^']+)'",
        "A Python model has no model.py",
        "put its code at {file}",
    ),
    signature(
        "triton.model_class_missing",
        r"module '[^']*' has no attribute 'TritonPythonModel'",
        "A model.py defines no class TritonPythonModel",
        "define class TritonPythonModel with execute(self, requests) in it",
    ),
    signature(
        "triton.model_syntax",
        r"(?:IndentationError|SyntaxError): (?P<problem>.*?) \(model\.py, line (?P<line_number>\d+)\)",
        "A model.py is no valid Python",
        "correct line {line_number} of that model.py",
        "{problem}",
    ),
    signature(
        "triton.utils_missing",
        r"Python stub.*ModuleNotFoundError: No module named '(?:model|triton_python_backend_utils)'",
        "Triton's Python backend folder lacks triton_python_backend_utils.py",
        "trident doctor --fix puts the folder together again",
    ),
    signature(
        "triton.model_import",
        r"Python stub.*(?:ModuleNotFoundError|ImportError): (?P<problem>No module named '(?P<module>[^']+)'|.*)",
        "A model.py imports a package that Triton's Python does not have",
        "install it into the environment Trident runs in: python -m pip install …; numpy must stay below 2",
        "{problem}",
    ),
    signature(
        "triton.batch_size",
        r"ValueError: configuration specified max_batch_size (?P<batch>\d+), but in auto-complete-config function",
        "max_batch_size in config.pbtxt and in the model differ",
        "set max_batch_size: 0 (or leave it out): vLLM batches by itself",
    ),
    signature(
        "triton.shm",
        r"Unable to initialize shared memory key '[^']+' to requested size \((?P<size>\d+) bytes\)",
        "/dev/shm is too small for Triton's stubs",
        "give the container more: docker run --shm-size=1g; what killed servers left goes by trident doctor --fix",
    ),
    signature(
        "triton.stub_missing",
        r"triton_python_backend_stub is not found",
        "Triton's Python stub is not where the server looks for it",
        "trident doctor --fix puts the folder together again",
    ),
    signature(
        "triton.libpython",
        r"error while loading shared libraries: (?P<library>libpython\S+?): cannot open shared object file",
        "Triton's stub does not find {library}",
        "install the shared library of that Python (apt install libpython3.11, python3.11-dev, or pyenv with "
        "PYTHON_CONFIGURE_OPTS=--enable-shared)",
        seen="text",
    ),
    signature(
        "triton.libraries",
        r"(?:triton\S*|tritonserver): error while loading shared libraries: (?P<library>\S+): cannot open",
        "Triton does not find its library {library}",
        "start it by trident serve, which sets LD_LIBRARY_PATH; "
        "else python -m pip install --force-reinstall --no-deps nvidia-pytriton==0.7.0",
    ),
    signature(
        "triton.numpy2",
        r"unpack_from requires a buffer of at least \d+ bytes",
        "Triton's Python stub met numpy 2 and crashed",
        "python -m pip install 'numpy<2' in Trident's environment; keep packages that want numpy 2 out of it",
        "the stub of Triton 2.51 was built before numpy 2",
        seen="text",
    ),
    signature(
        "triton.cache",
        r"unable to find '(?P<library>libtritoncache_\w+\.so)' for cache",
        "This tritonserver has no response cache",
        "leave out --cache-config; vLLM's prefix cache does that work",
    ),
    signature(
        "triton.flag",
        r"tritonserver: unrecognized option '(?P<option>[^']+)'",
        "tritonserver does not know the option {option}",
        "leave it out; trident serve --help lists what it can pass on",
    ),
    signature(
        "triton.stub_died",
        r"Stub process '(?P<model>[^']+?)_\d+_?\d*' is not healthy",
        "The Python process of model {model} died while it started",
        "look above that line in triton.log; without a word there it was killed: dmesg | grep -i 'out of memory'",
        general=True,
    ),
    # While an engine is away Trident takes its models out of tritonserver by naming a backend that cannot be.
    signature(
        "triton.model_failed",
        r"failed to load '(?P<model>[^']+)' version \d+: (?!.*its engine is lost)(?P<problem>[^\\\"]+)",
        "Triton could not load {model}",
        "correct what it says; trident logs triton has the whole text",
        "{problem}",
        general=True,
    ),
)
