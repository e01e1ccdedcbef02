import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deepEqual, parseJson } from '../json.ts'
import { JsonPatchError, jsonPatch } from './json-patch.ts'

test('jsonPatch agrees with the examples of RFC 6902 appendix A', () => {
  for (const [document, patch, result] of [
    ['{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux"}]', '{"baz":"qux","foo":"bar"}'],
    ['{"foo":["bar","baz"]}', '[{"op":"add","path":"/foo/1","value":"qux"}]', '{"foo":["bar","qux","baz"]}'],
    ['{"baz":"qux","foo":"bar"}', '[{"op":"remove","path":"/baz"}]', '{"foo":"bar"}'],
    ['{"foo":["bar","qux","baz"]}', '[{"op":"remove","path":"/foo/1"}]', '{"foo":["bar","baz"]}'],
    ['{"baz":"qux","foo":"bar"}', '[{"op":"replace","path":"/baz","value":"boo"}]', '{"baz":"boo","foo":"bar"}'],
    [
      '{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}',
      '[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]',
      '{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}',
    ],
    [
      '{"foo":["all","grass","cows","eat"]}',
      '[{"op":"move","from":"/foo/1","path":"/foo/3"}]',
      '{"foo":["all","cows","eat","grass"]}',
    ],
    [
      '{"baz":"qux","foo":["a",2,"c"]}',
      '[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]',
      '{"baz":"qux","foo":["a",2,"c"]}',
    ],
    [
      '{"foo":"bar"}',
      '[{"op":"add","path":"/child","value":{"grandchild":{}}}]',
      '{"foo":"bar","child":{"grandchild":{}}}',
    ],
    ['{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux","xyz":123}]', '{"foo":"bar","baz":"qux"}'],
    ['{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":10}]', '{"/":9,"~1":10}'],
    ['{"foo":["bar"]}', '[{"op":"add","path":"/foo/-","value":["abc","def"]}]', '{"foo":["bar",["abc","def"]]}'],
    ['{"a":1}', '[{"op":"copy","from":"/a","path":"/b"}]', '{"a":1,"b":1}'],
    ['{"a":1}', '[{"op":"replace","path":"","value":2}]', '2'],
  ] as const) {
    assert.deepEqual(jsonPatch(parseJson(document), parseJson(patch)), parseJson(result), patch)
  }
})

test('jsonPatch refuses what does not fit the document', () => {
  for (const [document, patch] of [
    ['{"baz":"qux"}', '[{"op":"test","path":"/baz","value":"bar"}]'],
    ['{"foo":"bar"}', '[{"op":"add","path":"/baz/bat","value":"qux"}]'],
    ['{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":"10"}]'],
    ['{"a":[1]}', '[{"op":"add","path":"/a/2","value":1}]'],
    ['{"a":[1]}', '[{"op":"remove","path":"/a/-"}]'],
    ['{"a":[1]}', '[{"op":"replace","path":"/a/01","value":1}]'],
    ['{"a":{}}', '[{"op":"move","from":"/a","path":"/a/b"}]'],
    ['{}', '[{"op":"remove","path":"/toString"}]'],
  ] as const) {
    assert.throws(
      () => jsonPatch(parseJson(document), parseJson(patch)),
      (error) => error instanceof JsonPatchError && error.isDocumentFault,
      patch,
    )
  }
})

test('jsonPatch refuses what is no patch', () => {
  for (const patch of [
    '{}',
    '[1]',
    '[{"op":"merge","path":"/a"}]',
    '[{"op":"add","path":"a","value":1}]',
    '[{"op":"add","path":"/a"}]',
    '[{"op":"add","path":"/~2","value":1}]',
  ]) {
    assert.throws(
      () => jsonPatch({}, parseJson(patch)),
      (error) => error instanceof JsonPatchError && !error.isDocumentFault,
      patch,
    )
  }
})

test('jsonPatch on any operations either works or throws JsonPatchError, and leaves the document alone', () => {
  const document = parseJson('{"a":{"b":[1,{"c":2}]},"d":"e"}')
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c', 'd', '0', '1', '-', '~0', '__proto__'))
    .map((parts) => parts.map((part) => `/${part}`).join(''))
  const operation = fc.record({
    op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test'),
    path,
    from: path,
    value: fc.constantFrom(1, null, {}, []),
  })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 5 }), (operations) => {
      const before = JSON.stringify(document)
      try {
        jsonPatch(document, parseJson(JSON.stringify(operations)))
      } catch (error) {
        assert.ok(error instanceof JsonPatchError, String(error))
      }
      assert.equal(JSON.stringify(document), before)
      assert.equal(Object.getPrototypeOf({}), Object.prototype)
    }),
  )
})

test('adding a member and removing it gives the document back', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.stringMatching(/^[a-z~/]{1,4}$/), fc.integer()),
      fc.stringMatching(/^[A-Z~/]{1,4}$/),
      (document, key) => {
        fc.pre(!Object.hasOwn(document, key))
        const path = `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
        const patched = jsonPatch(document, [
          { op: 'add', path, value: 1 },
          { op: 'remove', path },
        ])
        assert.ok(deepEqual(patched, document))
      },
    ),
  )
})
