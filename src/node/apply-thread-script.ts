/** Locates the apply thread's code: a source file, or a bundle in the single executable. */
declare global {
  /** The path of the bundled apply thread, which the single executable sets when it starts. */
  var skyshardApplyThreadPath: string | undefined;
}

/** Returns the script and its thread's flags; without flags, the thread has the process's own. */
export function applyThreadScript(): { readonly url: URL | string; readonly execArgv?: string[] } {
  const bundled = globalThis.skyshardApplyThreadPath;
  if (bundled !== undefined) return { url: bundled, execArgv: [] };
  return { url: new URL('./apply-thread.ts', import.meta.url) };
}
