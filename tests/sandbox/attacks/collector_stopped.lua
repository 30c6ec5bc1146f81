-- technique: calls what is not there, collectgarbage; must: error
function run(input)
  local found = collectgarbage('stop')
  return input.marker or found
end
