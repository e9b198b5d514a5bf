import { expect, test } from 'vitest'
import { createHistogram, exposition, metric } from '../../src/telemetry/exposition.ts'

test('one line a sample, whatever a label holds', () => {
  const text = exposition([
    metric('gauge', 'drover_a', 'One\nline \\ of help.', 1.5),
    {
      name: 'drover_b',
      type: 'counter',
      help: 'Labels.',
      samples: [
        { labels: { x: 'a"b\\c\nd', y: '' }, value: Number.NaN },
        { labels: { x: 'z' }, value: Number.POSITIVE_INFINITY },
      ],
    },
  ])
  expect(text.split('\n')).toEqual([
    '# HELP drover_a One\\nline \\\\ of help.',
    '# TYPE drover_a gauge',
    'drover_a 1.5',
    '# HELP drover_b Labels.',
    '# TYPE drover_b counter',
    'drover_b{x="a\\"b\\\\c\\nd",y=""} NaN',
    'drover_b{x="z"} +Inf',
    '',
  ])
})

test('buckets of a histogram count everything up to their bound', () => {
  const histogram = createHistogram([1, 5])
  for (const value of [0.5, 1, 3, 100]) histogram.observe(value)
  expect(histogram.samples()).toEqual([
    { suffix: '_bucket', labels: { le: '1' }, value: 2 },
    { suffix: '_bucket', labels: { le: '5' }, value: 3 },
    { suffix: '_bucket', labels: { le: '+Inf' }, value: 4 },
    { suffix: '_sum', value: 104.5 },
    { suffix: '_count', value: 4 },
  ])
})
