"""Mailbox providers are a closed set, found by mail exchanger first."""

from __future__ import annotations

import pytest

from analysis.providers import OTHER, PROVIDERS, provider_of


@pytest.mark.parametrize(
    ("hosts", "domain", "provider"),
    [
        (["gmail-smtp-in.l.google.com"], "gmail.com", "gmail"),
        (["aspmx.l.google.com."], "example.com", "gmail"),
        (["ASPMX.L.GOOGLE.COM"], "example.com", "gmail"),
        (["example-com.mail.protection.outlook.com"], "example.com", "microsoft"),
        (["mta5.am0.yahoodns.net"], "yahoo.com", "yahoo"),
        (["mx01.mail.icloud.com"], "icloud.com", "apple"),
        (["mx3.qq.com"], "qq.com", "qq"),
        (["mxbiz1.qq.com"], "example.cn", "qq"),
        (["163mx01.mxmail.netease.com"], "163.com", "netease"),
        (["mx1.qiye.aliyun.com"], "example.cn", "aliyun"),
        (["mx00.emig.gmx.net"], "gmx.de", "gmx"),
        (["mxs.mail.ru"], "mail.ru", "mailru"),
        (["mx0a-00012345.pphosted.com"], "example.com", "proofpoint"),
        ([], "QQ.com", "qq"),
        ([], "hotmail.com", "microsoft"),
        (["mx.example.net"], "example.net", OTHER),
        (["notgoogle.com"], "example.net", OTHER),
        (["mx.nowhere.example", "aspmx.l.google.com"], "example.net", "gmail"),
        ([], "", OTHER),
        (["."], "", OTHER),
    ],
)
def test_provider_is_found(hosts: list[str], domain: str, provider: str) -> None:
    assert provider_of(hosts, domain) == provider


def test_a_domain_behind_another_providers_exchanger_is_that_providers() -> None:
    assert provider_of(["mx0a.pphosted.com"], "gmail.com") == "proofpoint"


def test_the_set_is_closed_small_and_fit_for_metric_labels() -> None:
    assert len(set(PROVIDERS)) == len(PROVIDERS) <= 32
    assert PROVIDERS[-1] == OTHER
    assert all(name.isascii() and name.isalnum() and name.islower() for name in PROVIDERS)
