"""Two-letter codes (ISO 3166-1) of the countries that job postings name in words.

A country that is not here is left out of the party; nothing else depends on it.
"""

from types import MappingProxyType
from typing import Final

_NAMES: Final = """
AE United Arab Emirates|AG Antigua and Barbuda|AL Albania|AM Armenia|AR Argentina
AS American Samoa|AT Austria|AU Australia|AZ Azerbaijan|BA Bosnia and Herzegovina|BB Barbados
BD Bangladesh|BE Belgium|BG Bulgaria|BH Bahrain|BR Brazil|BT Bhutan|BW Botswana|BZ Belize
CA Canada|CD Congo, the Democratic Republic of the|CH Switzerland|CI Cote d'Ivoire|CL Chile
CM Cameroon|CN China|CO Colombia|CR Costa Rica|CY Cyprus|CZ Czech Republic|DE Germany|DK Denmark
DO Dominican Republic|DZ Algeria|EC Ecuador|EE Estonia|EG Egypt|ES Spain|ET Ethiopia|FI Finland
FR France|GB United Kingdom|GE Georgia|GH Ghana|GP Guadeloupe|GR Greece|HK Hong Kong|HR Croatia
HU Hungary|ID Indonesia|IE Ireland|IL Israel|IN India|IT Italy|JM Jamaica|JO Jordan|JP Japan
KE Kenya|KG Kyrgyzstan|KH Cambodia|KR South Korea|KW Kuwait|KY Cayman Islands|KZ Kazakhstan
LB Lebanon|LI Liechtenstein|LK Sri Lanka|LT Lithuania|LU Luxembourg|LV Latvia|MA Morocco|MC Monaco
MD Moldova|ME Montenegro|MK Macedonia|MM Myanmar|MR Mauritania|MT Malta|MU Mauritius|MV Maldives
MX Mexico|MY Malaysia|NA Namibia|NG Nigeria|NI Nicaragua|NL Netherlands|NO Norway|NP Nepal
NZ New Zealand|OM Oman|PE Peru|PH Philippines|PK Pakistan|PL Poland|PR Puerto Rico
PS Palestinian Territories|PT Portugal|QA Qatar|RO Romania|RS Serbia|RU Russia|RW Rwanda
SA Saudi Arabia|SE Sweden|SG Singapore|SI Slovenia|SK Slovakia|SL Sierra Leone|SM San Marino
SN Senegal|SO Somalia|SZ Swaziland|TC Turks and Caicos Islands|TH Thailand|TN Tunisia|TR Turkey
TT Trinidad and Tobago|TW Taiwan|TZ Tanzania|UA Ukraine|UG Uganda|US United States|UY Uruguay
UZ Uzbekistan|VE Venezuela|VG British Virgin Islands|VN Vietnam|YE Yemen|ZA South Africa|ZM Zambia
ZW Zimbabwe
"""

CODES: Final = MappingProxyType(
    {item[3:]: item[:2] for line in _NAMES.split("\n") for item in line.split("|") if item}
)


def code_of(country: str) -> str | None:
    """The code of a country named in English; None for one that is not known here."""
    return CODES.get(country)
