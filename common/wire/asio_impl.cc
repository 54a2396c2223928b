// Asio's function bodies, once (BOOST_ASIO_SEPARATE_COMPILATION): the other files compile quicker.
#include <boost/asio/impl/src.hpp>
