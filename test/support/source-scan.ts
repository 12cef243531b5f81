/** Scans TypeScript sources for the checks of `test/tidy.test.ts`: code, comments, imports. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export const projectRoot = normalize(join(import.meta.dirname, '..', '..'));

export type SourceFile = {
  /** Relative to the root of the project, with `/`. */
  readonly path: string;
  readonly text: string;
  /** `text` with the insides of comments, strings, templates and patterns blanked; as long. */
  readonly code: string;
};

/** Returns the files that git tracks or would track; ignored ones are not checked. */
export function projectFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: projectRoot,
    encoding: 'utf8',
  });
  return [...new Set(listed.split('\0'))].filter((path) => path !== '' && existsSync(join(projectRoot, path))).sort();
}

/** Returns a file's text and code. */
export function readSource(path: string): SourceFile {
  return scanSource(path, readFileSync(join(projectRoot, path), 'utf8'));
}

/** Returns the code of a text as if it were the file at `path`. */
export function scanSource(path: string, text: string): SourceFile {
  return { path, text, code: blankNonCode(text) };
}

/** Judges by what precedes a slash whether it begins a regular expression. */
function isOperandExpected(before: string): boolean {
  const trimmed = before.trimEnd();
  return (
    trimmed === '' ||
    /[(,=:[!&|?{};+\-*%<>~^]$/.test(trimmed) ||
    /\b(?:return|typeof|case|in|of|await|void)$/.test(trimmed)
  );
}

/** Returns the position after the string or regular expression that begins at `start`. */
function endOfQuoted(text: string, start: number): number {
  const quote = text[start]!;
  let isInClass = false;
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at]!;
    if (character === '\\') at += 1;
    else if (character === '\n') return at;
    else if (quote === '/' && character === '[') isInClass = true;
    else if (quote === '/' && character === ']') isInClass = false;
    else if (character === quote && !isInClass) return at + 1;
  }
  return text.length;
}

/** Blanks all but code, which includes the expressions inside template literals. */
function blankNonCode(text: string): string {
  let code = '';
  /** The number of open braces in each enclosing template expression. */
  const templateDepths: number[] = [];
  const blank = (from: number, to: number): void => {
    code += text.slice(from, to).replace(/[^\n]/g, ' ');
  };
  const templateText = (from: number): number => {
    let at = from;
    for (; at < text.length; at++) {
      if (text[at] === '\\') at += 1;
      else if (text[at] === '`') break;
      else if (text[at] === '$' && text[at + 1] === '{') {
        templateDepths.push(0);
        at += 1;
        break;
      }
    }
    const end = Math.min(at + 1, text.length);
    blank(from, end);
    return end;
  };
  for (let at = 0; at < text.length; ) {
    const character = text[at]!;
    const two = text.slice(at, at + 2);
    if (two === '//' || two === '/*') {
      const found = two === '//' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2) + 2;
      const end = found <= 1 ? text.length : found;
      blank(at, end);
      at = end;
    } else if (character === "'" || character === '"' || (character === '/' && isOperandExpected(code.slice(-80)))) {
      const end = endOfQuoted(text, at);
      code += character;
      blank(at + 1, end - 1);
      code += text[end - 1] === '\n' ? ' ' : (text[end - 1] ?? '');
      at = end;
    } else if (character === '`') {
      code += ' ';
      at = templateText(at + 1);
    } else if (character === '}' && templateDepths.at(-1) === 0) {
      templateDepths.pop();
      code += ' ';
      at = templateText(at + 1);
    } else {
      if (templateDepths.length > 0 && character === '{') templateDepths[templateDepths.length - 1]! += 1;
      if (templateDepths.length > 0 && character === '}') templateDepths[templateDepths.length - 1]! -= 1;
      code += character;
      at += 1;
    }
  }
  return code;
}

/** Returns the module names, as spelled, that a file imports, re-exports or loads dynamically. */
export function importsOf(source: SourceFile): string[] {
  const found: string[] = [];
  // The keyword must be code; the quoted name is blank there, so it is read from the text.
  for (const match of source.code.matchAll(/(?<![.\w])(?:from|import\s*\(?)\s*(['"])/g)) {
    const start = match.index + match[0].length;
    found.push(source.text.slice(start, source.text.indexOf(match[1]!, start)));
  }
  return found;
}

/** Returns the path of an import inside the project, or null for a package. */
export function resolveImport(fromPath: string, name: string): string | null {
  return name.startsWith('.') ? normalize(join(dirname(fromPath), name)) : null;
}

/** Returns the line number, from 1, of a position. */
export function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}
