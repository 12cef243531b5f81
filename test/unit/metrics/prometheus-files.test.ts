/** Rules pass promtool and their tests; they and dashboards name what exists. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type MetricName, metricTable } from '../../../src/metrics/metric-table.ts';
import { dashboards, expressions, namedMetrics, rulesFolder } from '../../support/prometheus-files.ts';
import { projectRoot } from '../../support/source-scan.ts';

const rules = readFileSync(join(rulesFolder, 'rules.yml'), 'utf8');
const namesOf = (kind: 'alert' | 'record'): string[] =>
  [...rules.matchAll(new RegExp(`- ${kind}: (\\S+)`, 'g'))].map(([, name]) => name!);

function promtool(...words: string[]): void {
  const { status, stdout, stderr, error } = spawnSync('promtool', words, { cwd: rulesFolder, encoding: 'utf8' });
  expect({ status, error }, `${stdout}${stderr}`).toEqual({ status: 0, error: undefined });
}

describe('the rules', () => {
  it('pass promtool, and so does the scrape configuration', () => {
    promtool('check', 'rules', 'rules.yml');
    promtool('check', 'config', 'scrape.yml');
  });

  it('do what their tests say', () => promtool('test', 'rules', 'rules.test.yml'));

  it('have a test each, in which an alert fires and one in which it does not', () => {
    const tests = readFileSync(join(rulesFolder, 'rules.test.yml'), 'utf8');
    expect(namesOf('alert').length).toBeGreaterThan(10);
    for (const name of namesOf('alert')) {
      const cases = [...tests.matchAll(new RegExp(`alertname: "${name}"\\n *exp_alerts:(.*)`, 'g'))];
      expect(
        cases.map(([, expected]) => expected),
        name,
      ).toEqual(['', ' []']);
    }
    for (const name of namesOf('record')) expect(tests).toContain(`expr: "${name}"`);
  });

  it('name a section of the runbook each', () => {
    const headings = readFileSync(join(projectRoot, 'ops', 'alerts.md'), 'utf8').match(/(?<=^## ).*$/gm)!;
    const anchors = headings.map((heading) => heading.toLowerCase().replaceAll(' ', '-'));
    const named = [...rules.matchAll(/runbook: ops\/alerts\.md#(\S+)/g)].map(([, anchor]) => anchor!);
    expect(named.length).toBe(namesOf('alert').length);
    expect([...new Set(named)].sort()).toEqual(anchors.sort());
  });
});

describe('rules and dashboards', () => {
  it('name metrics of the table, which documents all, or those of Node', () => {
    const ours = [...namedMetrics()].filter((name) => name.startsWith('skyshard_'));
    expect(ours.length).toBeGreaterThan(40);
    expect(ours.filter((name) => !(name in metricTable))).toEqual([]);
  });

  it('name recording rules that there are', () => {
    const recorded = new Set(expressions().flatMap((text) => text.match(/\bskyshard:[\w:]+/g) ?? []));
    expect([...recorded].filter((name) => !namesOf('record').includes(name))).toEqual([]);
  });

  it('show rates as such, percentiles of durations in seconds, and bytes as bytes', () => {
    const unitsOf = (expression: string): string[] => {
      if (/_bytes(?:_total)?\b/.test(expression)) return ['bytes', 'Bps', 's'];
      if (/histogram_quantile.*_seconds_bucket/.test(expression)) return ['s'];
      if (/^sum[^/]*\(rate\([^/]*$/.test(expression)) return ['reqps', 'ops', 'percentunit'];
      return [];
    };
    for (const { file, panels } of dashboards()) {
      for (const { title, fieldConfig, targets } of panels) {
        for (const { expr, legendFormat } of targets) {
          const own = fieldConfig.overrides.find(({ matcher }) => matcher.options === legendFormat);
          const unit = own?.properties.find(({ id }) => id === 'unit')?.value ?? fieldConfig.defaults.unit;
          const meant = unitsOf(expr);
          if (meant.length > 0) expect(meant, `${file}: ${title}: ${expr}`).toContain(unit);
        }
      }
    }
  });

  it('select by labels that their metrics have', () => {
    const labelsOf = (expression: string): string[] => [
      ...[...expression.matchAll(/\{([^}]*)\}/g)].flatMap(([, within]) => within!.match(/\w+(?=\s*(?:=|!))/g) ?? []),
      ...[...expression.matchAll(/\b(?:by|on) ?\(([^)]*)\)/g)].flatMap(([, within]) => within!.split(/, ?/)),
    ];
    for (const expression of expressions()) {
      const names = (expression.match(/\bskyshard_\w+/g) ?? []).map((name) =>
        name.replace(/_(?:bucket|sum|count)$/, ''),
      );
      if (names.length === 0) continue;
      const known = names.flatMap((name): readonly string[] => metricTable[name as MetricName].labels);
      const ofPrometheus = ['instance', 'job', 'le'];
      expect(
        labelsOf(expression).filter((label) => ![...known, ...ofPrometheus].includes(label)),
        expression,
      ).toEqual([]);
    }
  });

  it('have panels with units, each with something to show', () => {
    const all = dashboards();
    const files = ['ingest.json', 'latency.json', 'moves.json', 'overview.json', 'slots.json'];
    expect(all.map(({ file }) => file).sort()).toEqual(files);
    expect(new Set(all.map(({ uid }) => uid)).size).toBe(all.length);
    for (const { title, panels } of all) {
      expect(panels.length, title).toBeGreaterThanOrEqual(8);
      for (const panel of panels) {
        expect(panel.fieldConfig.defaults.unit, panel.title).not.toBe('');
        expect(panel.targets.length, panel.title).toBeGreaterThan(0);
      }
    }
  });
});
