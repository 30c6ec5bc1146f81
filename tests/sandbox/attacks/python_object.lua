-- technique: calls what is not there, python.eval; must: error
function run(input)
  local found = python.eval('open')
  return input.marker or found
end
