"""The books in the formats of accountants: `formats.FORMATS` names each one and its writer."""
