/** The source scan separates code from comments and strings, and finds every import. */
import { describe, expect, it } from 'vitest';
import { importsOf, resolveImport, scanSource } from '../../support/source-scan.ts';

function codeOf(text: string): string {
  return scanSource('src/base/x.ts', text).code;
}

describe('the scan of a source', () => {
  it('keeps code and blanks comments, strings, templates and regular expressions', () => {
    const text =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is code for the scan
      "const a = 'as any'; // as any\n/* as any */ const b = /as any[/]\\//g; const c = `as any ${(d as any)} as any`;";
    const code = codeOf(text);
    expect(code).toHaveLength(text.length);
    expect(code.match(/as any/g)).toHaveLength(1);
    expect(code.split('\n')).toHaveLength(2);
  });

  it('handles nested templates and divisions', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is code for the scan
    expect(codeOf('`a ${`b ${{ c: 1 }} d`} e`; as any').trim()).toMatch(/as any$/);
    expect(codeOf("const half = total / 2; const x = 'y' / 3; as any")).toContain('as any');
    expect(codeOf('return /[\'"]/.test(a) && (b as any)')).toContain('b as any');
  });

  it('finds imports of every form, and none that only looks like one', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type { B } from '../wire/b.ts';",
      "import 'side';",
      "export { c } from './c.ts';",
      "const d = await import('./d.ts');",
      "const e = Buffer.from('no');",
      "// import { f } from './no.ts'",
      'const g = "import h from \'./no.ts\'";',
      "import {\n  i,\n} from 'node:fs';",
    ].join('\n');
    expect(importsOf(scanSource('src/base/x.ts', text))).toEqual([
      './a.ts',
      '../wire/b.ts',
      'side',
      './c.ts',
      './d.ts',
      'node:fs',
    ]);
    expect(resolveImport('src/base/x.ts', '../wire/b.ts')).toBe('src/wire/b.ts');
    expect(resolveImport('src/base/x.ts', 'node:fs')).toBe(null);
  });
});
