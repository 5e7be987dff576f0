/** What a key press is made of; a KeyboardEvent has more. */
export interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  isComposing: boolean;
  /** The press goes into a field that takes text. */
  typing: boolean;
}

/** Recognises single keys and short sequences such as `g a`. It touches no DOM and reads no clock of its own. */
export class KeySequence {
  private first = "";
  private at = 0;

  /** @param bindings names, such as "g a", "/" or "?", of what can be recognised; patience in milliseconds between two keys. */
  constructor(
    private readonly bindings: ReadonlySet<string>,
    private readonly patience = 1200,
  ) {}

  /** The binding that this press completes, if any. A press into a field, with a modifier, or while an input method composes, is not ours. */
  press(p: Press, now: number): string | undefined {
    if (p.typing || p.isComposing || p.ctrlKey || p.metaKey || p.altKey || p.key.length !== 1) {
      if (p.key !== "Shift") this.first = "";
      return undefined;
    }
    const key = p.key.normalize("NFKC");
    const both = this.first && now - this.at <= this.patience ? `${this.first} ${key}` : "";
    this.first = "";
    if (both && this.bindings.has(both)) return both;
    if (this.bindings.has(key)) return key;
    if ([...this.bindings].some((b) => b.startsWith(`${key} `))) {
      this.first = key;
      this.at = now;
    }
    return undefined;
  }
}

/** The index that j and k move to in a list; -1 stands for no row yet. */
export function moveIndex(current: number, by: 1 | -1, count: number): number {
  if (count === 0) return -1;
  if (current < 0) return by > 0 ? 0 : count - 1;
  return Math.min(count - 1, Math.max(0, current + by));
}
