/** Advice as text. */
import type { Advice, Decision } from '../tools/advise/advise.ts';
import type { Measurement, ModeOutcome } from '../tools/advise/measure/results.ts';
import type { Summary } from '../tools/advise/measure/statistics.ts';
import { tableLines } from './table.ts';

/** Lines for people. */
export function adviceLines(advice: Advice): readonly string[] {
  const { text, decisions, alternatives, notes, commands, measured } = advice;
  return [
    `Mode: ${text}`,
    '',
    'What decided',
    ...decisions.flatMap(decisionLines),
    ...section(
      'What would change it',
      alternatives.map(
        ({ question, answer, leadsTo }) => `${question} ${answer ? 'Yes' : 'No'}: ${leadsTo}.`,
      ),
    ),
    ...section(
      'To know',
      notes.map((note) => {
        const sources = note.sources.map(({ text: of, date }) => `${of}, ${date}`).join('; ');
        return `${note.text} (${sources})`;
      }),
    ),
    ...(measured === undefined ? [] : ['', ...measurementLines(measured)]),
    ...section('To go there', commands),
  ];
}

/** A table of what was measured. */
function measurementLines(measured: Measurement): readonly string[] {
  const { services, endpoints, kernel, processors, modes, withoutRules, seconds } = measured;
  const rows: readonly (readonly string[])[] = [
    ['', ...modes.map(({ name }) => name)],
    row('full load, ms', modes, ({ plane }) => (plane.usable ? plane.load.p50 : undefined)),
    row('one endpoint changed, ms, p50', modes, (outcome) => change(outcome)?.p50),
    row('  p99', modes, (outcome) => change(outcome)?.p99),
    row('connect to the first Service, us, p50', modes, ({ connect }) => connect?.first.p50),
    row('connect to the last Service, us, p50', modes, ({ connect }) => connect?.last.p50),
  ];
  const samples = modes.map((outcome) => change(outcome)?.samples ?? 0);
  return [
    `Measured: ${count(services)} Services, ${count(endpoints)} endpoints, Linux ${kernel}, ${processors} processors, ${seconds.toFixed(0)} s`,
    ...tableLines(rows).map((line) => `  ${line}`),
    `  Changes measured: ${samples.join(', ')}.${bare(withoutRules)}`,
    ...modes.flatMap(({ name, plane }) =>
      plane.usable ? [] : plane.reasons.map((reason) => `  ${name} does not work here: ${reason}`),
    ),
  ];
}

function decisionLines({
  question,
  answer,
  because,
  isAssumed,
  findOut,
}: Decision): readonly string[] {
  const how = isAssumed ? ' (assumed)' : '';
  return [
    `  ${question} ${answer ? 'Yes' : 'No'}${how}: ${because}.`,
    ...(findOut === undefined ? [] : [`    To find out: ${findOut}.`]),
  ];
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)];
}

function change({ plane }: ModeOutcome): Summary | undefined {
  return plane.usable ? plane.change : undefined;
}

function row(
  title: string,
  modes: readonly ModeOutcome[],
  figure: (outcome: ModeOutcome) => number | undefined,
): readonly string[] {
  return [title, ...modes.map((outcome) => formatFigure(figure(outcome)))];
}

function bare(withoutRules: Summary | undefined): string {
  if (withoutRules === undefined) return '';
  return ` Connect through a node without rules: ${formatFigure(withoutRules.p50)} us.`;
}

/** About three digits that mean something. */
function formatFigure(value: number | undefined): string {
  if (value === undefined) return '-';
  return value >= 100 ? count(Math.round(value)) : value.toPrecision(3);
}

function count(value: number): string {
  return value.toLocaleString('en');
}
