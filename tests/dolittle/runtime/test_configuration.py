from __future__ import annotations

from pathlib import Path

import pytest

from dolittle.errors import ConfigurationError, ProjectNotFound, Unknown
from dolittle.runtime.configuration import (
    Configuration,
    RetryPolicy,
    find_project,
    is_application,
    load_application,
    load_configuration,
)


def load(folder: Path, text: str) -> Configuration:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dolittle.toml").write_text(text, encoding="utf-8")
    return load_configuration(folder)


def test_a_name_is_enough(tmp_path: Path) -> None:
    found = load(tmp_path, '[microservice]\nname = "my-kitchen"\n')
    assert found == Configuration(
        project=tmp_path,
        name="my-kitchen",
        package="my_kitchen",
        tenants=("development",),
        data_path=tmp_path / ".dolittle",
    )
    assert found.retry == RetryPolicy(attempts_max=10, delay_s=1.0, delay_s_max=60.0)


def test_everything_can_be_said(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
        [microservice]
        name = "kitchen"
        package = "tacos.kitchen"
        tenants = ["tacos", "development", "burritos"]
        version = "1.2.0"
        environment = "production"
        [store]
        path = "/var/lib/kitchen"
        durability = "os"
        [http]
        port = 8123
        [delivery]
        attempts_max = 3
        delay_s = 2
        delay_s_max = 2.5
        [tool.anything]
        goes = true
        """,
    )
    assert (found.package, found.version) == ("tacos.kitchen", "1.2.0")
    assert found.environment == "production"
    assert found.tenants == ("development", "tacos", "burritos")
    assert found.tenant_folder("tacos") == Path("/var/lib/kitchen/tacos")
    assert (found.durability, found.http_port, found.has_port) == ("os", 8123, True)
    assert found.retry == RetryPolicy(3, 2, 2.5)


MICROSERVICE = '[microservice]\nname = "kitchen"\n'

WRONG = [
    ("[microservice\n", 1, 14, "expected ']' at the end of a table declaration", ""),
    ('name = "a"\nname = "b"\n', 2, 11, "cannot overwrite a value", ""),
    ("[microservice]\nname = ", 2, 8, "invalid value", ""),
    ("", 1, 1, "[microservice] with a name is missing", "write: [microservice] name ="),
    ('\n[microservice]\nversion = "1"\n', 2, 2, "with a name is missing", ""),
    ('[microservise]\nname = "a"\n', 1, 2, "[microservise] is not known", "did you mean micros"),
    (MICROSERVICE + 'tenant = ["a"]\n', 3, 1, "tenant is not known", "did you mean tenants?"),
    ("# microservice\nmicroservice = 5\n", 2, 1, "microservice is a table", "write [micros"),
    ("[microservice]\nname = 5\n", 2, 1, "[microservice] name = 5 is no str", ""),
    ('[microservice]\nname = ""\n', 2, 1, "name = '' is empty", ""),
    (MICROSERVICE + 'package = "my kitchen"\n', 3, 1, "'my kitchen' is no name for a pack", ""),
    (MICROSERVICE + 'tenants = ["A"]\n', 3, 1, "'A' is no name for a tenant", "lower-case"),
    (MICROSERVICE + "tenants = [1]\n", 3, 1, "1 is no name for a tenant", ""),
    (MICROSERVICE + '# port\n[http]\nport = "x"\n', 5, 1, "[http] port = 'x' is no int", ""),
    (MICROSERVICE + "[http]\nport = 65536\n", 4, 1, "65536 is no port", "use 1 to 65535"),
    (MICROSERVICE + "[http]\nport = 0\n", 4, 1, "0 is no port", "use 1 to 65535"),
    (MICROSERVICE + "[http]\nport = true\n", 4, 1, "port = True is no int", ""),
    (MICROSERVICE + '[store]\ndurability = "x"\n', 4, 1, 'durability = "x" is not known', "fsync"),
    (MICROSERVICE + '[store]\npath = ""\n', 4, 1, "path = '' is empty", ""),
    (MICROSERVICE + "[delivery]\nattempts_max = 0\n", 4, 1, "attempts_max = 0", "1 or more"),
    (MICROSERVICE + "[delivery]\nattempts_max = 1.5\n", 4, 1, "1.5 is no int", ""),
    (MICROSERVICE + "[delivery]\ndelay_s = -1\n", 4, 1, "delay_s = -1", "0 or more"),
    (MICROSERVICE + "[delivery]\ndelay_s = nan\n", 4, 1, "delay_s = nan", "0 or more"),
    (MICROSERVICE + "[delivery]\ndelay_s_max = inf\n", 4, 1, "delay_s_max = inf", "0 or more"),
    (MICROSERVICE + "[delivery]\ndelay_s = 61\n", 4, 1, "delay_s = 61 is more than", "delay_s_max"),
    (MICROSERVICE + "[delivery]\ndelays = 61\n", 4, 1, "delays is not known", "did you mean delay"),
    ('microservice = {name = "a", nam = 1}\n', 1, 29, "nam is not known", "did you mean name?"),
    ('microservice.name = "a"\nhttp.port = -1\n', 2, 6, "-1 is no port", ""),
]


@pytest.mark.parametrize(("text", "line", "column", "reason", "hint"), WRONG)
def test_each_mistake_is_told_with_its_line_and_column(
    tmp_path: Path, text: str, line: int, column: int, reason: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert reason in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert hint in caught.value.hint
    assert str(caught.value).startswith(f"{tmp_path}/dolittle.toml:{line}:{column}: ")


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "dolittle.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="it cannot be read"):
        load_configuration(tmp_path)


def test_a_folder_without_the_file_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound):
        load_configuration(tmp_path)
    with pytest.raises(ProjectNotFound):
        find_project(tmp_path)


def test_the_nearest_file_above_is_the_project(tmp_path: Path) -> None:
    load(tmp_path / "project", MICROSERVICE)
    below = tmp_path / "project" / "kitchen" / "events"
    below.mkdir(parents=True)
    assert find_project(below) == tmp_path / "project"


def test_a_tenant_that_is_not_configured_is_unknown(tmp_path: Path) -> None:
    found = load(tmp_path, MICROSERVICE + 'tenants = ["tacos"]\n')
    with pytest.raises(Unknown) as caught:
        found.tenant_folder("taco")
    assert caught.value.hint.startswith("did you mean tacos?")
    with pytest.raises(Unknown):
        found.tenant_folder("../elsewhere")


def test_an_application_knows_its_members(tmp_path: Path) -> None:
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "restaurant"\n')
    load(tmp_path / "kitchen", MICROSERVICE)
    load(tmp_path / "bar", MICROSERVICE)
    (tmp_path / "docs").mkdir()
    found = load_application(tmp_path)
    assert (found.name, found.members) == ("restaurant", (tmp_path / "bar", tmp_path / "kitchen"))
    assert is_application(tmp_path)
    assert not is_application(tmp_path / "bar")


def test_an_application_is_no_microservice_and_says_which_there_are(tmp_path: Path) -> None:
    (tmp_path / "dolittle.toml").write_text("[application]\n")
    load(tmp_path / "kitchen", MICROSERVICE)
    with pytest.raises(ConfigurationError, match="this is an application") as caught:
        load_configuration(tmp_path)
    assert "--project (kitchen)" in caught.value.hint
    with pytest.raises(ConfigurationError, match=r"there is no \[application\] here"):
        load_application(tmp_path / "kitchen")
