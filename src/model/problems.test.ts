import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { problemCatalogue, type ProblemCode } from './problem-catalogue.ts'
import { oneOfEach, problem, problemNews, problemText } from './problems.ts'

const root = new URL('../../', import.meta.url)
const codes = Object.keys(problemCatalogue) as ProblemCode[]

test('what a problem does not say itself comes from the catalogue', () => {
  const { how, remedy } = problemCatalogue.CW1104
  assert.deepEqual(problem('CW1104', 'node/a', 'twice'), {
    code: 'CW1104',
    object: 'node/a',
    message: 'twice',
    how,
    remedy,
  })
  assert.equal(problem('CW1104', 'node/a', 'twice', { remedy: 'do this' }).remedy, 'do this')
  assert.equal(problemText(problem('CW1104', 'node/a', 'twice', { remedy: 'x' })), 'CW1104 node/a: twice; remedy: x')
})

test('facts of one code and object are one problem with a list', () => {
  const fact = (message: string, remedy = 'r') => problem('CW1201', 'node/a', message, { how: 'h', remedy })
  const other = problem('CW1201', 'node/b', 'one')
  const several = ['1', '2', '3', '4', '5', '6', '7'].map((each) => fact(each))
  assert.deepEqual(oneOfEach([fact('one'), other, fact('two'), fact('one'), fact('three', 's')]), [
    { ...fact('one; two; three'), remedy: 'r; s' },
    other,
  ])
  assert.equal(oneOfEach(several)[0]!.message, '1; 2; 3; 4; 5; and 2 more')
  assert.deepEqual(oneOfEach([]), [])
})

test('a problem with the same code and object and another message is no news; one with another code is', () => {
  const [one, same, code, object] = [
    problem('CW1104', 'node/a', 'one'),
    problem('CW1104', 'node/a', 'another'),
    problem('CW1103', 'node/a', 'one'),
    problem('CW1104', 'node/b', 'one'),
  ]
  assert.deepEqual(problemNews([one], [same]), { appeared: [], gone: [] })
  assert.deepEqual(problemNews([one], [code, object]), { appeared: [code, object], gone: [one] })
})

test('docs/problems.md has a section for each code with its title, in order, and no other', () => {
  const page = readFileSync(new URL('docs/problems.md', root), 'utf8')
  const sections = page.split(/^## (?=CW)/m).slice(1)
  assert.deepEqual(
    sections.map((section) => section.split('\n')[0]),
    codes.map((code) => `${code} ${problemCatalogue[code].title}`),
  )
  assert.deepEqual(codes, codes.toSorted())
  for (const section of sections) {
    const code = section.slice(0, 6) as ProblemCode
    const example = new RegExp(`^! ${code} [a-z-]+/\\S.*: \\S`, 'm')
    assert.match(section, example, `${code} has an example of its line`)
    assert.ok(section.includes('**Known from**'), `${code} says how it is known`)
    assert.ok(section.includes('**What to do**'), `${code} says what to do`)
  }
})

test('every code is used somewhere', () => {
  const files = globSync('src/**/*.ts', { cwd: root }).filter(
    (file) => !file.endsWith('.test.ts') && !file.endsWith('problem-catalogue.ts'),
  )
  const sources = files.map((file) => readFileSync(new URL(file, root), 'utf8')).join('\n')
  assert.deepEqual(
    codes.filter((code) => !sources.includes(`'${code}'`)),
    [],
  )
})

test('each remedy that deletes a Node object says to drain the node first, and what happens otherwise', () => {
  for (const code of codes) {
    const { remedy } = problemCatalogue[code]
    if (remedy.includes('delete its Node object'))
      assert.match(remedy, /drain the node.* then delete its Node object.*without a drain, its pods end/, code)
    assert.doesNotMatch(remedy, /ip route del|ip link del/, code)
  }
})
