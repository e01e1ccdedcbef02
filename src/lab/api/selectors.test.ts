import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchesLabels, parseFieldSelector, parseLabelSelector, SelectorError } from './selectors.ts'

const matches = (selector: string, labels: Record<string, string>): boolean =>
  matchesLabels(parseLabelSelector(selector), labels)

test('label selectors select as documented', () => {
  const labels = { app: 'web', tier: 'front', 'example.com/n': '5', empty: '' }
  for (const selector of [
    '',
    'app=web',
    'app==web',
    'app',
    '!db',
    'app in (web,api)',
    'app notin (api), tier',
    'db!=x',
    'app!=api,tier=front',
    'example.com/n>4',
    'example.com/n<6',
    'empty=',
    'empty in (,x)',
    ' app = web ',
  ]) {
    assert.ok(matches(selector, labels), selector)
  }
  for (const selector of [
    'app=api',
    '!app',
    'db',
    'app in (api)',
    'app notin (web)',
    'app!=web',
    'example.com/n>5',
    'app>1',
    'db in (x)',
    'toString',
  ]) {
    assert.ok(!matches(selector, labels), selector)
  }
})

test('what is no label selector is refused', () => {
  for (const selector of [
    'a b',
    'a=b=c',
    'in (a',
    'a in',
    'a in (b',
    ',a',
    'a,,b',
    'a,',
    '=a',
    'a=(b)',
    'a>b',
    '-a',
    'a=b/c',
    '!',
    'a in (b,(c))',
  ]) {
    assert.throws(() => parseLabelSelector(selector), SelectorError, selector)
  }
})

test('field selectors are read with their escapes', () => {
  assert.deepEqual(parseFieldSelector('spec.nodeName=n1,status.phase!=Running'), [
    { path: 'spec.nodeName', isEqual: true, value: 'n1' },
    { path: 'status.phase', isEqual: false, value: 'Running' },
  ])
  assert.deepEqual(parseFieldSelector(String.raw`a==x\,y\=z\\`), [
    { path: 'a', isEqual: true, value: String.raw`x,y=z\ `.trim() },
  ])
  assert.throws(() => parseFieldSelector('metadata.name'), SelectorError)
})

test('selector parsers only throw SelectorError', () => {
  const noise = fc.stringMatching(/^[ab=!,()<> in\\/.-]{0,24}$/)
  fc.assert(
    fc.property(fc.oneof(noise, fc.string()), (source) => {
      for (const parse of [parseLabelSelector, parseFieldSelector]) {
        try {
          parse(source)
        } catch (error) {
          assert.ok(error instanceof SelectorError, String(error))
        }
      }
    }),
    { numRuns: 2000 },
  )
})
