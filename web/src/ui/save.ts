/** Gives the reader a file. */
export function saveBlob(blob: Blob, name: string): void {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(blob);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
}

/** Gives the reader a text as a file. */
export const saveText = (text: string, name: string): void => saveBlob(new Blob([text], { type: "text/plain" }), name);
