"""What the pages share: the theme, the frame with its macros, the template environment and thumbnails of figures."""
