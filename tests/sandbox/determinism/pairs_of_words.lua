-- deterministic: keys that are texts, in one order
function run(input)
  local out = {}
  for k in pairs({pear = 1, fig = 2, apple = 3, [''] = 4, ['é'] = 5}) do out[#out + 1] = k end
  return out
end
