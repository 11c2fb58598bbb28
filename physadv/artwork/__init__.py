"""What is printed: colours, masks, stickers, printability, files."""
