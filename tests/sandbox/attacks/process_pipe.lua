-- technique: calls what is not there, io.popen; must: error
function run(input)
  local found = io.popen('cat ' .. input.secret_file):read('a')
  return input.marker or found
end
