/** Makes elements. Text is always text: nothing that comes from a server is parsed as HTML. */

type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | number | boolean | ((event: Event) => void)>>;

/** Makes an element with attributes, listeners (`onclick`) and children. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Makes a section with a heading, and a note beside it. */
export function card(title: string, note: string, ...children: readonly Child[]): HTMLElement {
  return h('section', {}, h('h2', {}, title, ' ', h('small', {}, note)), ...children);
}

export type Cell = { readonly text: string; readonly className?: string } | string;

/** Makes a table; the first cell of each row names it. Columns of text begin with `~`. */
export function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): HTMLElement {
  const cell = (of: Cell): HTMLElement => {
    const { text, className = '' } = typeof of === 'string' ? { text: of } : of;
    return h('td', className === '' ? {} : { class: className }, text);
  };
  const head = h(
    'tr',
    {},
    ...headings.map((heading) =>
      heading.startsWith('~')
        ? h('th', { scope: 'col', class: 'text' }, heading.slice(1))
        : h('th', { scope: 'col' }, heading),
    ),
  );
  const body = rows.map((row) => h('tr', {}, ...row.map(cell)));
  return h('div', { class: 'scroll' }, h('table', {}, h('thead', {}, head), h('tbody', {}, ...body)));
}

/** Makes a select whose change is told. */
export function choice(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  value: string,
  onChange: (value: string) => void,
): HTMLElement {
  const select = h(
    'select',
    { onchange: (event) => onChange((event.target as HTMLSelectElement).value) },
    ...options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)),
  );
  return h('label', {}, label, select);
}
