"""README and docs: both languages say the same, and what they name exists."""

import dataclasses
import re
from collections import Counter

import pytest

from scripts import make_options_doc
from src.core.command_line import parse_args
from src.core.scripts import config_classes, every_config_class
from src.evaluation.config import EvalConfig
from src.network import registry
from src.training.config import TrainConfig, options_class
from tests.helpers.documents import PAGES, read_page, slug, split_commands, without_comments, words_in
from tests.helpers.synth import ROOT

EVERY_PAGE = [*PAGES, *PAGES.values()]
ROOT_SCRIPTS = {cls.__doc__.split(":")[0]: cls for cls in config_classes()}
# scripts that pass further flags on: (words before them, whose flags they are)
PASSED_ON = {"scripts/run_standalone_train.sh": (2, TrainConfig),
             "scripts/run_distribute_train.sh": (4, TrainConfig), "scripts/run_eval.sh": (3, EvalConfig)}
OTHER_PROGRAMS = {"git", "pip", "curl", "nginx", "gunicorn", "ffmpeg", "source", "python3.11"}
FOLDERS = "src|scripts|configs|tests|benchmarks|docs|checkpoints|samples|ascend310_infer"
MADE_LATER = re.compile(r"checkpoints/(dprnn|asteroid)(/|$)|ascend310_infer/build|docs/.*<")


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)  # recipes are named relative to it


@pytest.mark.parametrize("english, chinese", PAGES.items())
def test_both_languages_have_the_same_headings_and_code(english, chinese):
    first, second = read_page(english), read_page(chinese)
    assert [level for level, _ in first.headings] == [level for level, _ in second.headings]
    assert [without_comments(block) for block in first.blocks] == [without_comments(block) for block in second.blocks]
    assert len(first.cells) == len(second.cells), "tables of one size"
    assert figures(first) == figures(second)


def figures(page):
    """How often each decimal number is on a page, outside code; sentences may have them in another order."""
    return Counter(re.findall(r"\d+\.\d+", page.text))


def test_both_languages_have_the_same_pages():
    assert sorted(path.name for path in (ROOT / "docs" / "zh").glob("*.md")) == \
        sorted(path.name for path in (ROOT / "docs" / "en").glob("*.md"))


@pytest.mark.parametrize("path", ["README.md", "README_CN.md"])
def test_readme_is_short_and_leads_to_every_page(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    folder = "docs/en" if path == "README.md" else "docs/zh"
    linked = {link.partition("#")[0].rpartition("/")[2]
              for page in (path, f"{folder}/code-map.md") for link in read_page(page).links}
    families = {page_of(name) for name in registry.FAMILIES}  # registry.py says where they are
    assert {page.name for page in (ROOT / folder).glob("*.md")} - families <= linked


def page_of(family):
    return "model.md" if family == registry.DEFAULT else f"{family.replace('_', '-')}.md"


@pytest.mark.parametrize("folder", ["docs/en", "docs/zh"])
@pytest.mark.parametrize("name", [name for name in registry.FAMILIES if name != registry.DEFAULT])
def test_a_family_has_a_page_with_its_options_and_defaults(name, folder):
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \|", read_page(f"{folder}/{page_of(name)}").text, re.M))
    fields = dataclasses.fields(registry.family(name).Config)
    assert {field.name: str(int(field.default) if isinstance(field.default, bool) else field.default)
            for field in fields} == {key: value for key, value in rows.items() if key in {f.name for f in fields}}


@pytest.mark.parametrize("path", ["README.md", "README_CN.md"])
def test_main_parameters_have_their_real_defaults(path):
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", read_page(path).text, re.M)
    assert len(rows) == 10
    for name, default in rows:
        assert float(default) == TrainConfig.__dataclass_fields__[name].default, name


@pytest.mark.parametrize("path", EVERY_PAGE + ["CONTRIBUTING.md", "checkpoints/dprnn_voices.md", "samples/README.md"])
def test_links_lead_somewhere(path):
    for target in read_page(path).links:
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / path).parent / name if name else ROOT / path
        assert file.exists(), f"{path}: {target}"
        if anchor:
            assert anchor in [slug(text) for _, text in read_page(file).headings], f"{path}: {target}"


@pytest.mark.parametrize("path", EVERY_PAGE + ["CONTRIBUTING.md"])
def test_named_files_exist(path):
    page = read_page(path)
    for span in page.code_spans:
        found = re.fullmatch(rf"((?:{FOLDERS})/\S*|\w+\.py)(?: .*)?", span)
        if found and not MADE_LATER.search(span):
            assert (ROOT / found[1]).exists(), f"{path}: {span}"


def test_pictures_are_small():
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 150_000, picture


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_table_cells_are_short(path):
    for cell in read_page(path).cells:
        assert words_in(cell) < 25, f"{path}: {cell}"


def test_options_pages_are_what_the_generator_makes():
    for path, text in make_options_doc.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run python scripts/make_options_doc.py"


def test_every_chinese_text_of_an_option_is_used():
    import yaml

    used = set()
    make_options_doc.page(lambda text: used.add(text) or text)
    assert set(yaml.safe_load(make_options_doc.TRANSLATIONS.read_text(encoding="utf-8"))) == used


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_commands_have_flags_that_exist(path):
    page = read_page(path)
    spans = [words for span in page.code_spans if re.match(r"python |bash ", span) for words in split_commands([span])]
    for words in page.commands + spans:
        check_command(words)


def check_command(words):
    """Fail where ``words`` is not a command that its program would take."""
    if words[0] == "/usr/bin/time":
        words = words[2:]
    program, script, arguments = words[0], words[1] if len(words) > 1 else "", words[2:]
    if program in OTHER_PROGRAMS:
        return
    if program == "python" and script in ROOT_SCRIPTS:
        cls = options_class(arguments) if script == "train.py" else ROOT_SCRIPTS[script]
        parse_args(cls, arguments, "input" if script == "separate.py" else None)
    elif program == "python":
        known = options_of(script)
        for flag in flags(arguments):
            assert flag in known, f"{script} has no {flag}"
    elif program == "bash":
        assert (ROOT / script).is_file(), script
        if script in PASSED_ON:
            count, cls = PASSED_ON[script]
            assert not flags(arguments[:count]) and len(arguments) >= count, words
            parse_args(cls, arguments[count:])
    elif program.startswith("ascend310_infer/build"):
        assert set(flags(words)) <= cpp_flags(), words
    else:
        pytest.fail(f"unknown program: {' '.join(words)}")


def options_of(script):
    """Flags of a script that has a parser of its own."""
    source = (ROOT / script).read_text(encoding="utf-8")
    if "duel import" in source:
        source += (ROOT / "benchmarks" / "duel.py").read_text(encoding="utf-8")
    found = set(re.findall(r'add_argument\("(--\w+)"', source))
    return found | fields(TrainConfig) if script == "benchmarks/loader.py" else found


def cpp_flags():
    """Flags that the C++ program's usage names."""
    return set(re.findall(r"--\w+", (ROOT / "ascend310_infer" / "src" / "options.cc").read_text(encoding="utf-8")))


def flags(words):
    return [word.split("=")[0] for word in words if word.startswith("--")]


def fields(*classes):
    return {f"--{name}" for cls in classes for name in cls.__dataclass_fields__}


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_flags_named_in_sentences_exist(path):
    known = fields(*every_config_class()) | cpp_flags() | {"--config_path", "--help"}
    for folder in ("benchmarks", "scripts"):
        for script in (ROOT / folder).glob("*.py"):
            known |= options_of(script.relative_to(ROOT))
    for span in read_page(path).code_spans:
        if span.startswith("--"):
            for flag in flags(span.split()):
                assert flag.replace("-", "_").replace("__", "--", 1) in known, f"{path}: {span}"


@pytest.mark.parametrize("path", ["docs/en/code-map.md", "docs/zh/code-map.md"])
def test_code_map_names_every_file(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    for file in sorted((ROOT / "src").iterdir()):
        if file.suffix == ".py" and file.name != "__init__.py":
            assert f"`src/{file.name}`" in text, file.name
        elif file.is_dir() and file.name != "__pycache__":
            assert f"`src/{file.name}/`" in text, file.name


def test_ci_and_pre_commit_do_what_the_scripts_do():
    import yaml

    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["check"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["bash scripts/quickstart.sh",
                                                                "bash scripts/run_tests.sh"]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    version = re.search(r"^ruff==(\S+)", (ROOT / "requirements-dev.txt").read_text(), re.M)[1]
    assert [repo["rev"] for repo in hooks] == [f"v{version}"]
