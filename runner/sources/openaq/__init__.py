"""source=openaq and source=openaq_archive: the API of OpenAQ and its daily files."""
