/** Where the apply thread's code is: a source file beside this one, or, in the single executable, a bundle that it names. */
declare global {
  /** Set by the single executable's start code; the path of the bundled apply thread. */
  var skyshardApplyThreadPath: string | undefined;
}

export function applyThreadScript(): { readonly url: URL | string; readonly execArgv: string[] } {
  const bundled = globalThis.skyshardApplyThreadPath;
  if (bundled !== undefined) return { url: bundled, execArgv: [] };
  return { url: new URL('./apply-thread.ts', import.meta.url), execArgv: [...process.execArgv] };
}
