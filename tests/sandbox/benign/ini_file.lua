-- input: {"text": "[a]\nx = 1\n; note\n[b]\ny=two words\n"}
-- output: {"a": {"x": 1}, "b": {"y": "two words"}}
function run(input)
  local out, section = {}, nil
  for line in input.text:gmatch('[^\n]+') do
    local name = line:match('^%[(.-)%]$')
    local key, value = line:match('^(%w+)%s*=%s*(.-)%s*$')
    if name then section = {} out[name] = section elseif key then section[key] = tonumber(value) or value end
  end
  return out
end
