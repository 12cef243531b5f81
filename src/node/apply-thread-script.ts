/** Where the apply thread's code is: a source file beside this one, or, in the single executable, a bundle that it names. */
declare global {
  /** Set by the single executable's start code; the path of the bundled apply thread. */
  var skyshardApplyThreadPath: string | undefined;
}

/** Returns the script and the flags of its thread. Flags that are not named are the process's own, which may be V8's. */
export function applyThreadScript(): { readonly url: URL | string; readonly execArgv?: string[] } {
  const bundled = globalThis.skyshardApplyThreadPath;
  if (bundled !== undefined) return { url: bundled, execArgv: [] };
  return { url: new URL('./apply-thread.ts', import.meta.url) };
}
