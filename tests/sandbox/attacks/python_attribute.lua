-- technique: calls what is not there, python.builtins.getattr; must: error
function run(input)
  local found = python.builtins.getattr(run, '__globals__')
  return input.marker or found
end
